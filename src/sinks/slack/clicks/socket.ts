import type { Socket as Link } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@slack/socket-mode';
import { Agent, buildConnector } from 'undici';
import { tunnel } from '../../../outgoing/agents.js';
import { classifyNetworkError, parseJson } from '../../../outgoing/http.js';
import { type Proxies, proxyFor } from '../../../outgoing/proxies.js';
import type { SinkContext } from '../../sink-type.js';
import { postToApi } from '../slack-http.js';
import type { SlackSettings } from '../slack.settings.js';
import { idsOf } from './payload.js';

const silent = () => {};
/** Silences Slack's SDK: its logs contain payloads, and URLs that grant access. */
const silentLogger = {
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
  setLevel: silent,
  setName: silent,
  getLevel: () => 'error',
};

const maxPauseMs = 60_000;
const envelopes = new Set(['interactive', 'slash_commands', 'events_api']);

/**
 * Receives interactions over Socket Mode, a connection that we open, where Slack cannot reach us. Reconnects without limit, with a new
 * SDK client each time: the SDK's own reconnecting leaves a rejection unhandled when a token is refused after the first connection,
 * which would end the process.
 */
export class Socket {
  private readonly closing = new AbortController();

  /** @param pauseMs delay before the first retry; doubles with each failure, up to a minute */
  constructor(
    private readonly appToken: string,
    private readonly settings: Pick<SlackSettings, 'API_URL' | 'TIMEOUT_MS'>,
    private readonly context: Pick<SinkContext, 'interaction' | 'now' | 'proxies' | 'warn' | 'clean'>,
    private readonly pauseMs = 1000,
  ) {}

  listen(): void {
    void this.stayConnected();
  }

  /** Takes no more interactions. Does not wait: Slack shows users an error for those that were not acknowledged. */
  close(): void {
    this.closing.abort();
  }

  private async stayConnected(): Promise<void> {
    const { signal } = this.closing;
    let failures = 0;
    let leaveLast = (): void => {};
    while (!signal.aborted) {
      const startedAt = performance.now();
      try {
        const { ending, leave } = await this.connect();
        // The previous connection stays open a little longer: Slack may still have sent something on it.
        sleep(this.pauseMs, undefined, { signal }).then(leaveLast, () => undefined);
        leaveLast = leave;
        if (failures > 0) this.context.warn('the Socket Mode connection to Slack is open again');
        failures = 0;
        await ending;
      } catch (error) {
        if (failures === 0 && !signal.aborted)
          this.context.warn(
            `clicks do not arrive: cannot connect to Slack (${reasonOf(error)}): check that Slack can be reached from here, and APP_TOKEN, which needs the scope connections:write; retrying`,
          );
        failures += 1;
      }
      // Reconnect at once after a long connection, but do not spin if Slack closes each one as soon as it opens.
      const pauseMs = Math.min(this.pauseMs * 2 ** failures, maxPauseMs) - (performance.now() - startedAt);
      if (pauseMs > 0) await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** @returns `ending`, which resolves when it ends or Slack asks for a new one; after such a request it works until `leave` is called */
  private async connect(): Promise<{ ending: Promise<void>; leave: () => void }> {
    const { appToken } = this;
    const { API_URL, TIMEOUT_MS } = this.settings;
    const { SocketModeClient } = await import('@slack/socket-mode');
    const { signal } = this.closing;
    const asking = new AbortController();
    const client = new SocketModeClient({
      appToken,
      autoReconnectEnabled: false,
      logger: silentLogger as unknown as Logger,
      dispatcher: new Agent({
        connect: connector(this.context.proxies, asking.signal, link => client.once('disconnected', () => link.destroy())),
      }),
      clientOptions: {
        ...(API_URL !== undefined && { slackApiUrl: API_URL }),
        retryConfig: { retries: 0 },
        allowAbsoluteUrls: false,
        fetch: async (url, { body, headers = {} } = {}) => {
          const request = { url: String(url), headers, body: typeof body === 'string' ? body : '', signal: asking.signal };
          return new Response((await postToApi(request, this.context)).body);
        },
      },
    });
    const leave = (): void => {
      asking.abort();
      void client.disconnect();
    };
    client.once('disconnected', () => signal.removeEventListener('abort', leave));
    client.on('slack_event', ({ type, body, ack }: { type: string; body: unknown; ack: (answer?: object) => Promise<void> }) => {
      const answer = envelopes.has(type) ? this.context.interaction(body, appToken, idsOf(body)) : Promise.resolve('');
      // A failed ack means that the connection is lost, which is noticed anyway.
      answer.then(content => ack(typeof content === 'string' ? undefined : content)).catch(() => undefined);
    });
    const ending = new Promise<void>(resolve => {
      client.once('disconnected', () => resolve());
      // The SDK would close the connection as soon as Slack asks for a new one.
      const handlers = client.listeners('ws_message');
      client.removeAllListeners('ws_message').on('ws_message', (...message: unknown[]) => {
        if (asksForAnother(message[0])) return resolve();
        // The SDK leaves a rejection unhandled after a message in an unexpected form, which would end the process.
        Promise.all(handlers.map(async handle => handle.apply(client, message) as unknown)).catch(() => undefined);
      });
    });
    signal.addEventListener('abort', leave);
    const timer = setTimeout(leave, TIMEOUT_MS);
    try {
      await client.start();
      if (signal.aborted) leave();
      return { ending, leave };
    } catch (error) {
      signal.removeEventListener('abort', leave);
      leave();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Whether Slack asks for a new connection, as it does before it closes one, unless Socket Mode was turned off. */
function asksForAnother(message: unknown): boolean {
  const { type, reason } = Object(typeof message === 'string' ? parseJson(message) : null) as { type?: unknown; reason?: unknown };
  return type === 'disconnect' && reason !== 'link_disabled';
}

/** Connects like the SDK itself, but through proxies. @param onConnected receives the connection, which the SDK then cannot destroy */
function connector(proxies: Proxies, signal: AbortSignal, onConnected: (link: Link) => void): buildConnector.connector {
  const direct = buildConnector({ allowH2: false });
  return (to, done) => {
    const connected: typeof done = (...result) => {
      if (result[1]) onConnected(result[1]);
      done(...result);
    };
    const secure = to.protocol === 'https:';
    const proxy = proxyFor(new URL(`${to.protocol}//${to.host ?? to.hostname}`), proxies);
    if (!proxy) return direct(to, connected);
    tunnel(proxy, to.hostname, Number(to.port || (secure ? 443 : 80)), signal).then(
      httpSocket => (secure ? direct({ ...to, httpSocket }, connected) : connected(null, httpSocket)),
      (error: Error) => connected(error, null),
    );
  };
}

/** Leaves out error texts, which may contain a URL that grants access. */
function reasonOf(error: unknown): string {
  if (error === undefined) return 'it ended before it began';
  const { statusCode } = Object(error) as { statusCode?: number };
  return statusCode === undefined ? classifyNetworkError(error).message : `answered ${statusCode}`;
}
