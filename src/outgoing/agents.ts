import { type AgentOptions, Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, type AgentOptions as HttpsAgentOptions, request as httpsRequest } from 'node:https';
import { type Socket, isIP, isIPv6 } from 'node:net';
import type { Duplex } from 'node:stream';
import { classifyNetworkError, classifyStatus } from './http.js';
import { Misconfigured, NotSent, type SinkError, TryAgain } from '../sinks/errors.js';
import { type Proxies, type Proxy, proxyFor } from './proxies.js';

export interface ConnectionOptions extends AgentOptions {
  /** How long to wait for a proxy tunnel; by default until the agent is destroyed. */
  tunnelTimeoutMs?: number;
  /** PEM: the target's private CA, and our client certificate and key. */
  ca?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
}

/** Creates the agent for requests to a URL, through its proxy if there is one. Failures of the proxy itself surface as `SinkError`. */
export function agentFor(url: string, proxies: Proxies, options: ConnectionOptions): HttpAgent {
  const target = new URL(url);
  const proxy = proxyFor(target, proxies);
  if (target.protocol !== 'https:') return proxy ? new ForwardAgent(proxy, options) : new HttpAgent(options);
  return proxy ? new TunnelAgent(proxy, options) : new HttpsAgent(options as HttpsAgentOptions);
}

/** Only a proxy answers 407; when it forwards plain HTTP, that looks like an answer of the target. */
export function proxyRefusal(status: number, agent: HttpAgent): SinkError | null {
  return status === 407 && agent instanceof ForwardAgent ? proxyStatusError(agent.proxy, status) : null;
}

/** Plain HTTP is forwarded by Node's own proxy support, not tunnelled: many proxies allow CONNECT only to port 443. */
class ForwardAgent extends HttpAgent {
  constructor(
    readonly proxy: Proxy,
    options: AgentOptions,
  ) {
    super({ ...options, proxyEnv: { http_proxy: proxy.url.href } });
    // Node has read the option by now. If axios saw it, `proxy: false` would make it use an agent without a proxy instead.
    delete (this as unknown as { options: AgentOptions }).options.proxyEnv;
  }

  override createConnection(...args: Parameters<HttpAgent['createConnection']>): ReturnType<HttpAgent['createConnection']> {
    const socket = super.createConnection(...args);
    const mark = (error: Error): void => void (error.cause = proxyConnectionError(this.proxy, error));
    socket
      ?.prependListener('error', mark)
      .once(this.proxy.url.protocol === 'https:' ? 'secureConnect' : 'connect', () => socket.off('error', mark));
    return socket;
  }
}

/** Tunnels TLS through a proxy. Node's own agent leaks a file descriptor per refused tunnel and keeps waiting after an abort. */
class TunnelAgent extends HttpsAgent {
  private readonly closing = new AbortController();

  constructor(
    private readonly proxy: Proxy,
    private readonly connection: ConnectionOptions,
  ) {
    super(connection as HttpsAgentOptions);
  }

  override createConnection(...[options, done]: Parameters<HttpAgent['createConnection']>): null {
    tunnel(this.proxy, String(options.host), Number(options.port), this.closing.signal, this.connection.tunnelTimeoutMs)
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

/** Opens a tunnel to a host through a proxy. @throws SinkError, also on timeout or abort */
export function tunnel(proxy: Proxy, host: string, port: number, signal: AbortSignal, timeoutMs?: number): Promise<Socket> {
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
    // By default Node would use the Host header, which names the target.
    servername: isIP(proxyHost) ? '' : proxyHost,
    agent: false,
    signal,
  });
  const onTimeout = (): unknown => request.destroy(Object.assign(new Error(), { code: 'ETIMEDOUT' }));
  const timer = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs);
  request.once('error', error => reject(proxyConnectionError(proxy, error))).once('close', () => clearTimeout(timer));
  request.once('connect', ({ statusCode = 0 }, socket: Duplex) => {
    clearTimeout(timer);
    // The tunnel's user notices its end through other events.
    socket.on('error', () => undefined);
    if (statusCode >= 200 && statusCode < 300) return resolve(socket as Socket);
    socket.destroy();
    reject(proxyStatusError(proxy, statusCode));
  });
  request.end();
  return promise;
}

function proxyStatusError({ variable }: Proxy, status: number): SinkError {
  const reason = ['proxy_answered', status] as const;
  if (status === 407) return new Misconfigured(reason, ['check_proxy_login', variable], status);
  if (status === 403) return new Misconfigured(reason, ['proxy_forbids', variable], status);
  if (classifyStatus(status, undefined, 0) instanceof TryAgain) return new TryAgain(reason, ['check_behind_proxy', variable], status);
  return new Misconfigured(reason, ['no_proxy_there', variable], status);
}

export function proxyConnectionError({ variable }: Proxy, error: unknown): SinkError {
  const cause = classifyNetworkError(error);
  const reason = ['proxy_unreachable', cause.why] as const;
  if (cause instanceof Misconfigured) return new Misconfigured(reason, ['check_proxy_host', variable]);
  return new NotSent(reason, ['check_proxy_runs', variable]);
}
