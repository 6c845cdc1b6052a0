import { sql } from 'kysely';
import { recordedAt } from '../database/arrival-times.js';
import type { Trx } from '../database/tables.js';
import { readComparison } from '../reconcile/comparison.js';
import type { Alert, AlertOf } from '../sinks/alert.js';
import type { CountsOf } from './counting.js';
import { type Removed, type Seen, combine } from './observe.js';

/** A sink that stops again within this time after its recovery reopens its previous alert. */
const reopenWindowMs = 15 * 60_000;
/** An alert about rejected webhooks ends after this time without any. */
const rejectionQuietMs = 3_600_000;
/** Comparisons that finished longer ago are not reported. */
const maxComparisonAgeMs = 86_400_000;
/** How long after its end a comparison may become visible, and how far a clock may be set back unnoticed. */
const overlapMs = 60_000;

/** Opens, updates and ends the alerts of these report sinks, according to what was observed. */
export async function writeAlerts(
  trx: Trx,
  reportSinks: readonly number[],
  observed: ReadonlyMap<string, Seen>,
  countsOf: CountsOf,
  now: number,
): Promise<void> {
  for (const sink of reportSinks) {
    const rows = await trx.selectFrom('alert').selectAll().where('sink', '=', sink).where('resolved_at', 'is', null).execute();
    for (const row of rows) {
      const seen = observed.get(row.key);
      if (seen === 'unknown') continue;
      const before = JSON.parse(row.payload) as Alert;
      const after = nextAlert(before, seen, now);
      // Most of what waited may have been sent by now.
      if (after.kind === 'incident' && seen === undefined) after.waiting = countsOf(Number(row.key.slice('incident '.length))).queued;
      const payload = JSON.stringify(after);
      if (payload === row.payload) continue;
      const urgent = isUrgent(before, after) && row.lease === null;
      const values = { payload, resolved_at: after.until && (await recordedAt(trx, after.until)), ...(urgent && { due_at: now }) };
      await trx.updateTable('alert').set(values).where('id', '=', row.id).execute();
    }
    const openKeys = new Set(rows.map(row => row.key));
    for (const [key, alert] of observed) {
      if (alert === 'unknown' || alert.kind === 'removed' || openKeys.has(key)) continue;
      const former = alert.kind === 'incident' && !alert.paused ? await formerIncident(trx, sink, key, alert.since) : null;
      if (former) {
        const payload = JSON.stringify({ ...alert, since: former.since, again: true });
        await trx.updateTable('alert').set({ payload, resolved_at: null, due_at: now }).where('id', '=', former.id).execute();
        continue;
      }
      const values = { sink, key, opened_at: now, payload: JSON.stringify(alert), due_at: now };
      await trx.insertInto('alert').values(values).execute();
    }
  }
}

/** The previous alert of a sink that stopped by itself, recovered, and has stopped again shortly after. */
async function formerIncident(trx: Trx, sink: number, key: string, since: number) {
  const alerts = trx.selectFrom('alert').select(['id', 'payload']).where('sink', '=', sink).where('key', '=', key);
  const resolved = alerts.where('resolved_at', '>=', since - reopenWindowMs);
  const row = await resolved.orderBy('id', 'desc').limit(1).executeTakeFirst();
  const alert = row && (JSON.parse(row.payload) as AlertOf<'incident'>);
  return alert && !alert.removed && alert.state !== 'paused' ? { id: row.id, since: alert.since } : null;
}

/** An alert after another observation; without `seen`, its cause is gone. */
export function nextAlert(before: Alert, seen: Alert | Removed | undefined, now: number): Alert {
  if (seen?.kind === 'removed') return { ...before, removed: true, keptDays: seen.keptDays, until: now } as Alert;
  if (before.kind === 'rejected') {
    if (seen?.kind === 'rejected') return { ...before, counts: combine(before.counts, seen.counts, 1), last: now };
    return now - before.last < rejectionQuietMs ? before : { ...before, until: now };
  }
  // Keeps the first failures: otherwise every probe would edit the message.
  const failures = before.kind === 'incident' && before.failures.length > 0 && { failures: before.failures };
  return { ...before, ...seen, ...failures, since: before.since, until: seen ? null : now } as Alert;
}

/** Whether to show the update at once: the alert is over, or more than its numbers has changed. */
function isUrgent(before: Alert, after: Alert): boolean {
  if (after.until !== null) return true;
  if (before.kind === 'rejected' && after.kind === 'rejected')
    return Object.keys(before.counts).length !== Object.keys(after.counts).length;
  if (before.kind === 'silence' && after.kind === 'silence') return before.rejected !== after.rejected;
  if (before.kind !== 'incident' || after.kind !== 'incident') return false;
  return before.state !== after.state || before.reason !== after.reason || before.paused !== after.paused;
}

/**
 * Adds one alert per report sink for each comparison that changed something or failed, and for each import; comparisons of single channels
 * are not reported.
 * @param reportedAt when this was last done: comparisons that finished well before are not looked at again, as there may be very many
 */
export async function reportComparisons(trx: Trx, reportSinks: readonly number[], reportedAt: number, now: number): Promise<void> {
  if (reportSinks.length === 0) return;
  const rows = await endedAfter(trx, Math.max(now - maxComparisonAgeMs, Math.min(reportedAt, now) - overlapMs)).execute();
  const at = rows.length > 0 ? await recordedAt(trx, now) : now;
  for (const { id, sdk_app_id: app, cause, started_at: since, finished_at: until, reason, advice, progress } of rows.map(readComparison)) {
    const { total, compared, corrected, destroyed, imported, failed, examples } = progress;
    if (cause !== 'import' && reason === null && corrected + destroyed + imported === 0) continue;
    const counts = { total, compared, corrected, destroyed, imported, failed };
    const example = examples[0] ?? null;
    const alert: Alert = { kind: 'compared', app, cause, ...counts, reason, advice, example, since: since ?? now, until };
    const payload = JSON.stringify(alert);
    const key = `comparison ${id}`;
    await sql`insert into alert (sink, key, opened_at, resolved_at, payload, due_at)
      select id, ${key}, cast(${now} as bigint), cast(${at} as bigint), ${payload}, cast(${now} as bigint) from sink
      where id in (${sql.join(reportSinks)}) and registered_at <= ${until}
        and not exists (select 1 from alert where alert.sink = sink.id and key = ${key})`.execute(trx);
  }
}

/**
 * The comparisons of more than single channels that have ended after this time for good. The order lets SQLite use the index, too: ordered
 * by id, it would read all of them.
 */
export function endedAfter(trx: Trx, time: number) {
  const ended = trx.selectFrom('comparison').selectAll().where('finished_at', '>', time).orderBy('finished_at');
  const forGood = ended.where('resumes', '=', 0).where('dry_run', '=', 0);
  return forGood.where('cause', 'not in', ['created', 'tie', 'estimated', 'again']);
}
