import type { Transaction } from 'kysely';
import { recordedAt } from '../database/arrival-times.js';
import type { Tables } from '../database/tables.js';
import type { Alert } from '../sinks/alert.js';
import { type Observed, type Seen, combine } from './watch.js';

/** A sink that stops again so soon after it has recovered has the same alert as before. */
const reopenedWithinMs = 15 * 60_000;
/** Rejected webhooks belong to one alert until none came for so long. */
const calmMs = 3_600_000;

/** Opens, updates and ends the alerts of these report sinks by what was observed. */
export async function writeAlerts(
  trx: Transaction<Tables>,
  reportSinks: readonly number[],
  observed: ReadonlyMap<string, Seen>,
  now: number,
): Promise<void> {
  for (const sink of reportSinks) {
    const rows = await trx.selectFrom('alert').selectAll().where('sink', '=', sink).where('resolved_at', 'is', null).execute();
    for (const row of rows) {
      const seen = observed.get(row.key);
      if (seen === 'unknown') continue;
      const before = JSON.parse(row.payload) as Alert;
      const after = moveOn(before, seen, now);
      const payload = JSON.stringify(after);
      if (payload === row.payload) continue;
      const urgent = isUrgent(before, after) && row.lease === null;
      await trx
        .updateTable('alert')
        .set({ payload, resolved_at: after.until && (await recordedAt(trx, after.until)), ...(urgent && { due_at: now }) })
        .where('id', '=', row.id)
        .execute();
    }
    const known = new Set(rows.map(row => row.key));
    for (const [key, one] of observed) {
      if (typeof one === 'string' || known.has(key)) continue;
      const former = one.kind === 'incident' && !one.paused ? await formerIncident(trx, sink, key, one.since!) : null;
      if (former) {
        const payload = JSON.stringify({ ...one, since: former.alert.since, again: true, until: null });
        await trx.updateTable('alert').set({ payload, resolved_at: null, due_at: now }).where('id', '=', former.id).execute();
        continue;
      }
      const payload = JSON.stringify({ ...one, since: one.since ?? now, until: null });
      await trx.insertInto('alert').values({ sink, key, opened_at: now, payload, due_at: now }).execute();
    }
  }
}

/** The alert of a sink that stopped by itself and had recovered shortly before it stopped once more. */
async function formerIncident(
  trx: Transaction<Tables>,
  sink: number,
  key: string,
  since: number,
): Promise<{ id: number; alert: Alert } | null> {
  const row = await trx
    .selectFrom('alert')
    .select(['id', 'payload'])
    .where('sink', '=', sink)
    .where('key', '=', key)
    .where('resolved_at', '>=', since - reopenedWithinMs)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  const alert = row && (JSON.parse(row.payload) as Extract<Alert, { kind: 'incident' }>);
  return alert && !alert.removed && alert.state !== 'paused' ? { id: row.id, alert } : null;
}

/** An alert after another look: without `seen` there is no reason for it any more. */
export function moveOn(before: Alert, seen: Observed | 'removed' | undefined, now: number): Alert {
  if (seen === 'removed') return { ...before, removed: true, until: now } as Alert;
  if (before.kind === 'rejected') {
    if (seen?.kind === 'rejected') return { ...before, counts: combine(before.counts, seen.counts, (had, more) => had + more), last: now };
    return now - before.last < calmMs ? before : { ...before, until: now };
  }
  // It keeps its first failures: with those of every probe it would be edited as often.
  const failures = before.kind === 'incident' && before.failures.length > 0 && { failures: before.failures };
  return { ...before, ...seen, ...failures, since: before.since, until: seen ? null : now } as Alert;
}

/** Whether people should see it at once: it is over, or more than its numbers has changed. */
function isUrgent(before: Alert, after: Alert): boolean {
  if (after.until !== null) return true;
  if (before.kind === 'rejected' && after.kind === 'rejected')
    return Object.keys(before.counts).length !== Object.keys(after.counts).length;
  if (before.kind === 'silence' && after.kind === 'silence') return before.rejected !== after.rejected;
  if (before.kind !== 'incident' || after.kind !== 'incident') return false;
  return before.state !== after.state || before.reason !== after.reason || before.paused !== after.paused;
}
