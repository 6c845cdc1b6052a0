import { type Transaction, sql } from 'kysely';
import { recordedAt } from '../database/arrival-times.js';
import type { Tables } from '../database/tables.js';
import { readComparison } from '../reconcile/comparison.js';
import type { Alert } from '../sinks/alert.js';
import type { Observed } from './watch.js';

/** Comparisons that finished longer ago are not reported. */
const maxAgeMs = 86_400_000;
/** An API that fails for less than this is not reported. */
const minFailingMs = 60_000;

/** The alerts for compared apps whose API does not work, by alert key. */
export async function failingApps(trx: Transaction<Tables>, apps: readonly string[], now: number): Promise<Map<string, Observed>> {
  const rows = await trx.selectFrom('app').selectAll().where('state', '<>', 'ok').execute();
  const failing = new Map<string, Observed>();
  for (const { sdk_app_id: app, state, state_since, reason, advice } of rows.filter(row => apps.includes(row.sdk_app_id))) {
    const shown = state === 'misconfigured' ? 'misconfigured' : 'retrying';
    const since = state_since ?? now;
    if (shown === 'retrying' && now - since < minFailingMs) continue;
    failing.set(`vendor ${app}`, { kind: 'vendor', app, state: shown, since, reason: reason ?? '', advice: advice ?? '' });
  }
  return failing;
}

/**
 * Adds one alert per report sink for each comparison that changed something or failed, and for each import; comparisons of single channels
 * are not reported.
 */
export async function reportComparisons(trx: Transaction<Tables>, reportSinks: readonly number[], now: number): Promise<void> {
  const rows = await trx
    .selectFrom('comparison')
    .selectAll()
    .where('finished_at', '>', now - maxAgeMs)
    .where('resumes', '=', 0)
    .where('dry_run', '=', 0)
    .where('cause', 'not in', ['created', 'tie', 'estimated', 'again'])
    .orderBy('id')
    .execute();
  const at = rows.length > 0 ? await recordedAt(trx, now) : now;
  for (const { id, sdk_app_id: app, cause, started_at: since, finished_at: until, reason, advice, progress } of rows.map(readComparison)) {
    const { total, compared, corrected, destroyed, imported, failed, examples } = progress;
    if (cause !== 'import' && reason === null && corrected + destroyed + imported === 0) continue;
    const counts = { total, compared, corrected, destroyed, imported, failed };
    const example = examples[0] ?? null;
    const alert: Alert = { kind: 'compared', app, cause, ...counts, reason, advice, example, since: since ?? now, until };
    const payload = JSON.stringify(alert);
    const key = `comparison ${id}`;
    for (const sink of reportSinks)
      await sql`insert into alert (sink, key, opened_at, resolved_at, payload, due_at)
        select id, ${key}, cast(${now} as bigint), cast(${at} as bigint), ${payload}, cast(${now} as bigint) from sink
        where id = ${sink} and registered_at <= ${until} and not exists (select 1 from alert where sink = ${sink} and key = ${key})`.execute(
        trx,
      );
  }
}
