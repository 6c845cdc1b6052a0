import { startPostgres } from './postgres.ts';

/** One PostgreSQL for all specs; each makes databases of its own in it. Nothing here kills the server itself: its disk need not be waited for. */
export default async function setUp(): Promise<void> {
  const { url, stop } = await startPostgres({ synced: false });
  process.env['TEST_POSTGRES_URL'] = url;
  Object.assign(globalThis, { stopPostgres: stop });
}
