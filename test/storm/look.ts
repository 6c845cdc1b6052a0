import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';

/** The service's tables, looked at from outside of it. */
export interface Look {
  ask<Row extends object>(sql: string): Promise<Row[]>;
  close(): Promise<void>;
}

/** @param url as DATABASE_URL; of the embedded store only while no service has it */
export async function look(url: string): Promise<Look> {
  if (url.startsWith('sqlite:')) {
    const database = new DatabaseSync(url.slice('sqlite:'.length));
    return {
      ask: <Row extends object>(sql: string) => Promise.resolve(database.prepare(sql).all() as unknown as Row[]),
      close: () => Promise.resolve(database.close()),
    };
  }
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return {
    ask: async <Row extends object>(sql: string) => (await client.query<Row>(sql)).rows,
    close: () => client.end(),
  };
}
