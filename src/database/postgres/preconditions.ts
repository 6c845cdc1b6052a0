import { type Kysely, sql } from 'kysely';
import { UnusableDatabase } from '../errors.js';
import type { Tables } from '../tables.js';

const minMajor = 14;

/**
 * Checks version, encoding and privileges before anything is written to the database.
 * @param tables names of our tables, including those that may not exist yet
 * @returns the server's version and encoding
 * @throws UnusableDatabase
 */
export async function checkPostgres(db: Kysely<Tables>, tables: readonly string[]): Promise<{ version: string; encoding: string }> {
  const { rows } = await sql<
    Record<'encoding' | 'version' | 'schema' | 'role', string> & { major: number; creates: boolean; barred: string | null }
  >`
    select current_setting('server_encoding') as encoding, current_setting('server_version') as version, quote_ident(current_user) as role,
      current_setting('server_version_num')::int / 10000 as major, quote_ident(current_schema()) as schema, has_schema_privilege(current_schema(), 'create') as creates,
      (select string_agg(relname, ', ' order by relname) from pg_class
        where relnamespace = quote_ident(current_schema())::regnamespace and relkind = 'r' and relname = any(${tables}) and not (has_table_privilege(oid, 'select')
          and has_table_privilege(oid, 'insert') and has_table_privilege(oid, 'update') and has_table_privilege(oid, 'delete'))) as barred`.execute(
    db,
  );
  const { encoding, version, major, schema, role, creates, barred } = rows[0]!;
  const problems = [
    encoding !== 'UTF8' && `its encoding is ${encoding}, which cannot keep every text: create one with encoding 'UTF8' template template0`,
    major < minMajor && `it is PostgreSQL ${version}: ${minMajor} or newer is needed`,
    schema === null && `no schema of its search_path exists: create one, or set the search_path of ${role}`,
    creates === false && `${role} may not create tables there: grant create on schema ${schema} to ${role}`,
    barred !== null &&
      `${role} may not use what is there (${barred}): grant select, insert, update, delete on all tables in schema ${schema} to ${role}`,
  ].filter(problem => problem !== false);
  if (problems.length > 0) throw new UnusableDatabase(problems.join('; '));
  return { version, encoding };
}
