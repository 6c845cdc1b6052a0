import { connect as connectTcp, isIP } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { proxyFailed } from './agents.js';
import { classifyNetworkError } from './http.js';
import { type Proxies, proxyFor } from './proxies.js';

/** With TLS 1.3 a server refuses a client's certificate after the handshake: how long it gets for that, in milliseconds, if it says nothing else. */
const refusalMs = 500;

/** A private CA of the target, and our certificate and key for it, in PEM. */
type Certificates = { [name in 'ca' | 'cert' | 'key']?: string | undefined };

/**
 * Connects to the host of a URL, with TLS if that says so, and hangs up: no request is sent. Where there is a proxy, only that is connected to.
 * @returns what was reached
 * @throws SinkError; the reason of the signal once that is aborted
 */
export async function reach(url: string, proxies: Proxies, certificates: Certificates, signal: AbortSignal): Promise<'target' | 'proxy'> {
  const target = new URL(url);
  const proxy = proxyFor(target, proxies);
  try {
    await (proxy ? connect(proxy.url, {}, signal) : connect(target, certificates as ConnectionOptions, signal));
  } catch (error) {
    signal.throwIfAborted();
    throw proxy ? proxyFailed(proxy, error) : classifyNetworkError(error);
  }
  return proxy ? 'proxy' : 'target';
}

async function connect({ protocol, hostname, port }: URL, certificates: ConnectionOptions, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const secure = protocol === 'https:';
  const host = hostname.replace(/^\[|\]$/g, '');
  const to = { host, port: Number(port || (secure ? 443 : 80)) };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let timer: NodeJS.Timeout | undefined;
  const socket = secure ? connectTls({ ...to, servername: isIP(host) === 0 ? host : '', ...certificates }) : connectTcp(to, resolve);
  // A server may hang up on who asks nothing: that is no refusal.
  socket
    .on('error', (error: NodeJS.ErrnoException) => (timer && error.code === 'ECONNRESET' ? resolve() : reject(error)))
    .once('close', resolve);
  socket.once('secureConnect', () => (timer = setTimeout(resolve, refusalMs))).once('session', () => timer && resolve());
  const end = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', end, { once: true });
  try {
    await promise;
  } finally {
    signal.removeEventListener('abort', end);
    clearTimeout(timer);
    socket.destroy();
  }
}
