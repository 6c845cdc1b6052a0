import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** How often a silent connection is tried, so that one that a firewall cut is noticed. */
const tryEveryMs = 10_000;
const answerWithinMs = 3000;
const reconnectAfterMs = 1000;

/**
 * Listens for what other processes on this PostgreSQL tell, over a connection of its own that is made again when it is lost.
 * @param onNotice its text; `null` after a new connection: anything may have been missed
 */
export async function listen(url: string, channel: string, onNotice: (text: string | null) => void, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: answerWithinMs,
      query_timeout: answerWithinMs,
      keepAlive: true,
      application_name: 'channel-sync notices',
    });
    const lost = new AbortController();
    client.on('error', () => lost.abort()).on('end', () => lost.abort());
    client.on('notification', ({ payload = '' }) => onNotice(payload));
    try {
      await client.connect();
      await client.query(`listen ${channel}`);
      onNotice(null);
      const over = AbortSignal.any([stop, lost.signal]);
      while (!over.aborted) {
        await sleep(tryEveryMs, undefined, { signal: over });
        await client.query('select 1');
      }
    } catch {
      // The pools tell of a database that is away; here it only means to look again.
    }
    await client.end().catch(() => undefined);
    await sleep(reconnectAfterMs, undefined, { signal: stop }).catch(() => undefined);
  }
}
