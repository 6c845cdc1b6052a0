import { type AgentOptions, Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, type AgentOptions as HttpsAgentOptions, request as httpsRequest } from 'node:https';
import { type Socket, isIP, isIPv6 } from 'node:net';
import type { Duplex } from 'node:stream';
import { classifyNetworkError, classifyStatus } from './http.js';
import { Misconfigured, NotSent, type SinkError, TryAgain } from '../sinks/errors.js';
import { type Proxies, type Proxy, proxyFor } from './proxies.js';

export interface ConnectionOptions extends AgentOptions {
  /** How long to wait for a tunnel; without it, until the agent is destroyed. */
  attemptMs?: number;
  /** PEM texts: a private CA of the target, and our certificate and key for it. */
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
}

/** The agent for requests to a URL: through the proxy that the environment names for it, if any. What a proxy itself refuses comes out as the `SinkError` that it means. */
export function agentFor(url: string, proxies: Proxies, options: ConnectionOptions): HttpAgent {
  const target = new URL(url);
  const proxy = proxyFor(target, proxies);
  if (target.protocol !== 'https:') return proxy ? new ForwardAgent(proxy, options) : new HttpAgent(options);
  return proxy ? new TunnelAgent(proxy, options) : new HttpsAgent(options as HttpsAgentOptions);
}

/** Only a proxy answers 407; where it forwards plain HTTP, that looks like an answer of the target. */
export function throwIfProxyRefused(status: number, agent: HttpAgent): void {
  if (status === 407 && agent instanceof ForwardAgent) throw answered(agent.proxy, status);
}

/** Plain HTTP is forwarded, which Node does by itself: many proxies allow CONNECT only to port 443. */
class ForwardAgent extends HttpAgent {
  constructor(
    readonly proxy: Proxy,
    options: AgentOptions,
  ) {
    super({ ...options, proxyEnv: { http_proxy: proxy.url.href } });
    // Node has read it by now; if axios saw it, `proxy: false` would make it replace this agent by one without a proxy.
    delete (this as unknown as { options: AgentOptions }).options.proxyEnv;
  }

  override createConnection(...args: Parameters<HttpAgent['createConnection']>): ReturnType<HttpAgent['createConnection']> {
    const socket = super.createConnection(...args);
    const mark = (error: Error): void => void (error.cause = proxyFailed(this.proxy, error));
    socket
      ?.prependListener('error', mark)
      .once(this.proxy.url.protocol === 'https:' ? 'secureConnect' : 'connect', () => socket.off('error', mark));
    return socket;
  }
}

/** TLS goes through a tunnel. Node's own agent leaks a descriptor for each tunnel that is refused, and goes on waiting after the request was aborted. */
class TunnelAgent extends HttpsAgent {
  private readonly closing = new AbortController();
  private readonly attemptMs: number | undefined;

  constructor(
    private readonly proxy: Proxy,
    { attemptMs, ...options }: ConnectionOptions,
  ) {
    super(options as HttpsAgentOptions);
    this.attemptMs = attemptMs;
  }

  override createConnection(...[options, done]: Parameters<HttpAgent['createConnection']>): null {
    tunnel(this.proxy, String(options.host), Number(options.port), this.closing.signal, this.attemptMs)
      .then(socket => super.createConnection({ ...options, socket } as never))
      .then(
        socket => done?.(null, socket!),
        (error: Error) => done?.(error, undefined as never),
      );
    return null;
  }

  override destroy(): void {
    this.closing.abort();
    super.destroy();
  }
}

/** Opens a way to a host through a proxy, until the signal ends it or so many milliseconds are over. @throws SinkError */
export function tunnel(proxy: Proxy, host: string, port: number, signal: AbortSignal, ms?: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const { protocol, hostname, port: proxyPort } = proxy.url;
  const authority = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const proxyHost = hostname.replace(/^\[|\]$/g, '');
  const request = (protocol === 'https:' ? httpsRequest : httpRequest)({
    method: 'CONNECT',
    host: proxyHost,
    port: proxyPort,
    path: authority,
    headers: { host: authority, ...(proxy.authorization !== null && { 'proxy-authorization': proxy.authorization }) },
    // Otherwise Node takes the name from the Host header, which is the target's.
    servername: isIP(proxyHost) ? '' : proxyHost,
    agent: false,
    signal,
  });
  const late = ms === undefined ? undefined : setTimeout(() => request.destroy(Object.assign(new Error(), { code: 'ETIMEDOUT' })), ms);
  request.once('error', error => reject(proxyFailed(proxy, error))).once('close', () => clearTimeout(late));
  request.once('connect', ({ statusCode = 0 }, socket: Duplex) => {
    clearTimeout(late);
    // The user of the tunnel sees its end by other events.
    socket.on('error', () => undefined);
    if (statusCode >= 200 && statusCode < 300) return resolve(socket as Socket);
    socket.destroy();
    reject(answered(proxy, statusCode));
  });
  request.end();
  return promise;
}

function answered({ variable }: Proxy, status: number): SinkError {
  const reason = ['proxy_answered', status] as const;
  if (status === 407) return new Misconfigured(reason, ['check_proxy_login', variable], status);
  if (status === 403) return new Misconfigured(reason, ['proxy_forbids', variable], status);
  if (classifyStatus(status, undefined, 0) instanceof TryAgain) {
    return new TryAgain(reason, ['check_behind_proxy', variable], status);
  }
  return new Misconfigured(reason, ['no_proxy_there', variable], status);
}

/** What a connection to the proxy that failed means. */
export function proxyFailed({ variable }: Proxy, error: unknown): SinkError {
  const cause = classifyNetworkError(error);
  const reason = ['proxy_unreachable', cause.why] as const;
  if (cause instanceof Misconfigured) return new Misconfigured(reason, ['check_proxy_host', variable]);
  return new NotSent(reason, ['check_proxy_runs', variable]);
}
