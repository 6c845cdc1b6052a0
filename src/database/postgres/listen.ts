import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { PostgresServer } from './server.js';

/** How often it is tried whether notices come. */
const tryEveryMs = 10_000;
/** How long a notice may take. */
const noticeWithinMs = 5000;
const reconnectAfterMs = 1000;
/** A server without a connection to spare is not asked all the time. */
const reconnectAtLastAfterMs = 60_000;
/** A process that stood still may have missed one. */
const missedUntilDeaf = 2;

/** Who is told what other processes tell. */
export interface Listener {
  notice: (text: string) => void;
  /** Whether notices come, after each look. After a look in vain some may have been missed. */
  hears: (hears: boolean) => void;
  /** The server is well, but notices do not come. */
  deaf: () => void;
}

/**
 * Listens for what other processes on this PostgreSQL tell, over a connection of its own that is made again when it is lost, or when nothing is heard.
 * @param tell sends a notice as the others do, over another connection: heard, it proves that this one is a session of the same server
 */
export async function listen(
  server: PostgresServer,
  channel: string,
  { notice, hears, deaf }: Listener,
  tell: (text: string) => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  for (let [restMs, missed] = [reconnectAfterMs, 0]; !stop.aborted;) {
    const lost = new AbortController();
    const lose = (): void => lost.abort();
    stop.addEventListener('abort', lose, { once: true });
    server.onRenewed = lose;
    let client: pg.Client | undefined;
    try {
      client = server.client();
      const echo = randomUUID();
      let answer: (heard: boolean) => void = () => undefined;
      client.on('notification', ({ payload = '' }) => (payload === echo ? answer(true) : notice(payload)));
      client.on('error', lose).on('end', lose);
      await client.connect();
      await client.query(`listen ${channel}`);
      while (!lost.signal.aborted) {
        const heard = new Promise<boolean>(resolve => {
          const timer = setTimeout(resolve, noticeWithinMs, false);
          answer = value => (clearTimeout(timer), resolve(value));
        });
        lost.signal.addEventListener('abort', () => answer(false), { once: true });
        await tell(echo);
        if (!(await heard)) {
          missed += Number(!lost.signal.aborted);
          break;
        }
        hears(true);
        [restMs, missed] = [reconnectAfterMs, 0];
        await sleep(tryEveryMs, undefined, { signal: lost.signal });
      }
    } catch {
      // The pool tells of a database that is away; here it only means to look again.
    }
    stop.removeEventListener('abort', lose);
    // Not awaited: a network that lets nothing through may never end it.
    client?.end().catch(() => undefined);
    hears(false);
    if (missed === missedUntilDeaf) deaf();
    await sleep(restMs, undefined, { signal: stop }).catch(() => undefined);
    restMs = Math.min(2 * restMs, reconnectAtLastAfterMs);
  }
}
