import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { PostgresServer } from './server.js';

/** How often we check that notifications arrive. */
const checkIntervalMs = 10_000;
/** How long a notification may take to arrive. */
const notifyTimeoutMs = 5000;
const reconnectDelayMs = 1000;
/** Backs off to this delay, to spare a server that has no connection left. */
const maxReconnectDelayMs = 60_000;
/** More than one, since a process that was frozen may miss one. */
const maxMissed = 2;

export interface Listener {
  onNotification: (text: string) => void;
  /** Called after each check, with whether notifications arrive. If not, some may have been missed. */
  onCheck: (works: boolean) => void;
  /** The server responds, but notifications do not arrive. */
  onDeaf: () => void;
}

/**
 * Listens for notifications of other processes on a dedicated connection, and reconnects when it is lost or a check fails.
 * @param send sends a notification on another connection, as other processes do. Its arrival proves that both reach the same server and
 *   that our connection is a real session
 */
export async function listen(
  server: PostgresServer,
  channel: string,
  { onNotification, onCheck, onDeaf }: Listener,
  send: (text: string) => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  for (let [delayMs, missed] = [reconnectDelayMs, 0]; !stop.aborted;) {
    const lost = new AbortController();
    const lose = (): void => lost.abort();
    stop.addEventListener('abort', lose, { once: true });
    server.onRenewed = lose;
    let client: pg.Client | undefined;
    try {
      client = server.client();
      const echo = randomUUID();
      let answer: (heard: boolean) => void = () => undefined;
      client.on('notification', ({ payload = '' }) => (payload === echo ? answer(true) : onNotification(payload)));
      client.on('error', lose).on('end', lose);
      await client.connect();
      await client.query(`listen ${channel}`);
      while (!lost.signal.aborted) {
        const heard = new Promise<boolean>(resolve => {
          const timer = setTimeout(resolve, notifyTimeoutMs, false);
          answer = value => (clearTimeout(timer), resolve(value));
        });
        lost.signal.addEventListener('abort', () => answer(false), { once: true });
        await send(echo);
        if (!(await heard)) {
          missed += Number(!lost.signal.aborted);
          break;
        }
        onCheck(true);
        [delayMs, missed] = [reconnectDelayMs, 0];
        await sleep(checkIntervalMs, undefined, { signal: lost.signal });
      }
    } catch {
      // The connection pool reports an unavailable database; here we just retry.
    }
    stop.removeEventListener('abort', lose);
    // Not awaited: it may never finish if the network drops all packets.
    client?.end().catch(() => undefined);
    onCheck(false);
    if (missed === maxMissed) onDeaf();
    await sleep(delayMs, undefined, { signal: stop }).catch(() => undefined);
    delayMs = Math.min(2 * delayMs, maxReconnectDelayMs);
  }
}
