import type { Socket as Link } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SocketModeClient } from '@slack/socket-mode';
import { Agent, buildConnector } from 'undici';
import { tunnel } from '../../outgoing/agents.js';
import { type Proxies, proxyFor } from '../../outgoing/proxies.js';
import { classifyNetworkError } from '../http.js';
import { classifyApiWord } from './slack-errors.js';
import { boundFetch } from './slack-client.js';
import { silentLogger } from './silent-logger.js';

export interface SocketOptions {
  appToken: string;
  apiUrl: string | undefined;
  timeoutMs: number;
  /** Before the first new try; doubled with each that fails, up to a minute. */
  pauseMs: number;
  proxies: Proxies;
  now: () => number;
}

const longestPauseMs = 60_000;

/** What Slack sends down the connection, as the SDK hands it on. */
interface Envelope {
  type: string;
  body: unknown;
  ack: () => Promise<void>;
}

/**
 * Clicks over a connection that we open (Socket Mode), for where Slack cannot reach us. It is opened again for as long as it takes, one client of
 * the SDK for each: the SDK's own reconnecting leaves a rejection unhandled when a token is refused after the first connection, which would end
 * the process.
 */
export class Socket {
  private readonly closing = new AbortController();

  /** @param Client the SDK's client, handed in so that it is loaded only where there is an app token */
  constructor(
    private readonly options: SocketOptions,
    private readonly clicked: (payload: unknown) => void,
    private readonly warn: (message: string) => void,
    private readonly Client: typeof SocketModeClient,
  ) {}

  listen(): void {
    void this.stayConnected();
  }

  /** Takes no more clicks. Waits for nobody: what Slack has not got an ack for it tells the one who clicked. */
  close(): void {
    this.closing.abort();
  }

  private async stayConnected(): Promise<void> {
    const { signal } = this.closing;
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.connection(() => {
          if (failures > 0) this.warn('clicks come in again: Slack takes our connection');
          failures = 0;
        });
      } catch (error) {
        if (failures === 0 && !signal.aborted)
          this.warn(
            `no clicks come in while Slack does not take our connection (${reasonOf(error)}): check that Slack can be reached from here, and APP_TOKEN, which needs the scope connections:write; it is tried again by itself`,
          );
        failures += 1;
      }
      // Also after a connection that held: Slack ends each after some hours, and one that it ends at once must not keep us busy.
      await sleep(Math.min(this.options.pauseMs * 2 ** failures, longestPauseMs), undefined, { signal }).catch(() => undefined);
    }
  }

  /** Returns when a connection is over. @throws if there was none */
  private async connection(opened: () => void): Promise<void> {
    const { appToken, apiUrl, timeoutMs, proxies, now } = this.options;
    const asking = new AbortController();
    const client = new this.Client({
      appToken,
      autoReconnectEnabled: false,
      logger: silentLogger,
      dispatcher: new Agent({ connect: connector(proxies, link => client.once('disconnected', () => link.destroy())) }),
      clientOptions: {
        ...(apiUrl !== undefined && { slackApiUrl: apiUrl }),
        retryConfig: { retries: 0 },
        rejectRateLimitedCalls: true,
        allowAbsoluteUrls: false,
        fetch: boundFetch({ signal: asking.signal, proxies }, now),
      },
    });
    const leave = (): void => (asking.abort(), void client.disconnect());
    const over = new Promise<void>(resolve => client.once('disconnected', () => resolve()));
    client.on('slack_event', ({ type, body, ack }: Envelope) => {
      // If it fails the connection is lost, which is seen anyway.
      ack().catch(() => undefined);
      if (type === 'interactive') this.clicked(body);
    });
    this.closing.signal.addEventListener('abort', leave);
    const late = setTimeout(leave, timeoutMs);
    try {
      await client.start();
      clearTimeout(late);
      opened();
      await over;
    } finally {
      clearTimeout(late);
      this.closing.signal.removeEventListener('abort', leave);
      leave();
    }
  }
}

/** Connects as the SDK does by itself, but through proxies. @param made takes the connection, which the SDK then cannot end by force */
function connector(proxies: Proxies, made: (link: Link) => void): buildConnector.connector {
  const direct = buildConnector({ allowH2: false });
  return (to, done) => {
    const told: typeof done = (...answer) => {
      if (answer[1]) made(answer[1]);
      done(...answer);
    };
    const secure = to.protocol === 'https:';
    const proxy = proxyFor(new URL(`${to.protocol}//${to.host ?? to.hostname}`), proxies);
    if (!proxy) return direct(to, told);
    tunnel(proxy, to.hostname, Number(to.port || (secure ? 443 : 80))).then(
      httpSocket => (secure ? direct({ ...to, httpSocket }, told) : told(null, httpSocket)),
      (error: Error) => told(error, null),
    );
  };
}

/** Without the text of any error, which may hold an URL that lets one in. */
function reasonOf(error: unknown): string {
  if (error === undefined) return 'it ended before it began';
  const { data, statusCode } = Object(error) as { data?: { error?: unknown }; statusCode?: number };
  if (data) return classifyApiWord(data.error).message;
  return statusCode === undefined ? classifyNetworkError(error).message : `answered ${statusCode}`;
}
