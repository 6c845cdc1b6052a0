import { connect as connectTcp, isIP } from 'node:net';
import { type ConnectionOptions as TlsOptions, connect as connectTls } from 'node:tls';
import { type ConnectionOptions, proxyConnectionError } from './agents.js';
import { classifyNetworkError } from './http.js';
import { type Proxies, proxyFor } from './proxies.js';
import { unlessAborted } from './within.js';

/** How long to wait for a server to reject our client certificate: in TLS 1.3 that happens after the handshake. */
const rejectionTimeoutMs = 500;

type Certificates = Pick<ConnectionOptions, 'ca' | 'cert' | 'key'>;

/**
 * Connects to the host of a URL, or to its proxy, with TLS for https, and disconnects without sending a request.
 * @throws SinkError; the signal's reason once that is aborted
 */
export async function reach(url: string, proxies: Proxies, certificates: Certificates, signal: AbortSignal): Promise<'target' | 'proxy'> {
  const target = new URL(url);
  const proxy = proxyFor(target, proxies);
  try {
    await (proxy ? connect(proxy.url, {}, signal) : connect(target, certificates as TlsOptions, signal));
  } catch (error) {
    signal.throwIfAborted();
    throw proxy ? proxyConnectionError(proxy, error) : classifyNetworkError(error);
  }
  return proxy ? 'proxy' : 'target';
}

async function connect({ protocol, hostname, port }: URL, certificates: TlsOptions, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const secure = protocol === 'https:';
  const host = hostname.replace(/^\[|\]$/g, '');
  const to = { host, port: Number(port || (secure ? 443 : 80)) };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let timer: NodeJS.Timeout | undefined;
  const socket = secure ? connectTls({ ...to, servername: isIP(host) === 0 ? host : '', ...certificates }) : connectTcp(to, resolve);
  // A reset after the handshake is not a rejection: servers may close a connection without a request.
  socket
    .on('error', (error: NodeJS.ErrnoException) => (timer && error.code === 'ECONNRESET' ? resolve() : reject(error)))
    .once('close', resolve);
  socket.once('secureConnect', () => (timer = setTimeout(resolve, rejectionTimeoutMs))).once('session', () => timer && resolve());
  try {
    await unlessAborted(promise, signal);
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}
