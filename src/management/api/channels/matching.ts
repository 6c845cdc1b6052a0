import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../../../database/database.js';

/** Whether a column has this text in it, to the letter. */
export function contains({ embedded }: Database, column: string, text: string): RawBuilder<boolean> {
  return embedded ? sql`instr(${sql.ref(column)}, ${text}) > 0` : sql`strpos(${sql.ref(column)}, ${text}) > 0`;
}

/** Whether a column fits one of these patterns, where `*` is any characters and `?` one. */
export function fits({ embedded }: Database, column: string, patterns: readonly string[]): RawBuilder<boolean> {
  const name = sql.ref(column);
  if (!embedded)
    return sql`${name} like any(${patterns.map(one =>
      one
        .replace(/[\\%_]/g, '\\$&')
        .replaceAll('*', '%')
        .replaceAll('?', '_'),
    )})`;
  const globs = JSON.stringify(patterns.map(one => one.replaceAll('[', '[[]')));
  return sql`exists (select 1 from json_each(${globs}) one where ${name} glob one.value)`;
}
