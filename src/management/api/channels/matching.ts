import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../../../database/database.js';

/** Whether a column contains this exact text. */
export function contains({ embedded }: Database, column: string, text: string): RawBuilder<boolean> {
  return embedded ? sql`instr(${sql.ref(column)}, ${text}) > 0` : sql`strpos(${sql.ref(column)}, ${text}) > 0`;
}

/** Whether a column matches one of these patterns, where `*` stands for any characters and `?` for one. */
export function matches({ embedded }: Database, column: string, patterns: readonly string[]): RawBuilder<boolean> {
  const name = sql.ref(column);
  if (!embedded)
    return sql`${name} like any(${patterns.map(pattern =>
      pattern
        .replace(/[\\%_]/g, '\\$&')
        .replaceAll('*', '%')
        .replaceAll('?', '_'),
    )})`;
  const globs = JSON.stringify(patterns.map(pattern => pattern.replaceAll('[', '[[]')));
  return sql`exists (select 1 from json_each(${globs}) one where ${name} glob one.value)`;
}
