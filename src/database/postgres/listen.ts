import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { PostgresServer } from './server.js';

const reconnectDelayMs = 2000;

/** Listens for notifications of other processes on a connection of its own, and reconnects when it is lost. */
export async function listen(
  server: PostgresServer,
  channel: string,
  onNotification: (text: string) => void,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    const lost = new AbortController();
    const lose = (): void => lost.abort();
    server.onRenewed = lose;
    let client: pg.Client | undefined;
    try {
      client = server.client();
      client.on('notification', ({ payload = '' }) => onNotification(payload));
      client.on('error', lose).on('end', lose);
      await client.connect();
      await client.query(`listen ${channel}`);
      const over = AbortSignal.any([stop, lost.signal]);
      if (!over.aborted) await once(over, 'abort');
    } catch {
      // The connection pool reports an unavailable database; here we just retry.
    }
    // Not awaited: it may never finish if the network drops all packets.
    client?.end().catch(() => undefined);
    await sleep(reconnectDelayMs, undefined, { signal: stop }).catch(() => undefined);
  }
}
