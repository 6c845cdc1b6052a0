import { startPostgres } from './postgres.ts';

/** One PostgreSQL for all specs; each makes databases of its own in it. */
export default async function setUp(): Promise<void> {
  const { url, stop } = await startPostgres();
  process.env['TEST_POSTGRES_URL'] = url;
  Object.assign(globalThis, { stopPostgres: stop });
}
