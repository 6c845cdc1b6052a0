import { sql } from 'kysely';
import { latestArrival } from '../database/arrival-times.js';
import type { Row, Trx } from '../database/tables.js';
import { type VerifyProgress, findJob } from '../search-index/index-job.js';
import type { Alert, AlertOf } from '../sinks/alert.js';
import type { CountsOf } from './counting.js';
import type { RejectionCause } from '../sinks/sink.js';
import type { Settings } from '../settings/settings.js';

type Rejections = Partial<Record<RejectionCause, number>>;

/** What this process knows from its own memory. */
export interface LocalSignals {
  /** When the last webhook arrived; `null` before the first. */
  webhookAt: number | null;
  startedAt: number;
  rejected: Rejections;
  /** When the first of them was; without meaning if there are none. */
  rejectedSince: number;
}

/** Sinks that are stopped, and APIs of Tencent that fail, for less than this are not reported. */
const minStoppedMs = 60_000;
/** Longer than a check takes. */
const maxCheckMs = 15_000;
const failuresShown = 3;
/** How many of a sink's oldest pending deliveries are searched for one that has failed. */
const maxFailuresSearched = 1000;

/** Adds or subtracts counts per cause; causes with no count left are omitted. */
export function combine(one: Rejections, other: Rejections, sign: 1 | -1): Rejections {
  const causes = Object.keys({ ...one, ...other }) as RejectionCause[];
  const counts = causes.map(cause => [cause, (one[cause] ?? 0) + sign * (other[cause] ?? 0)] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

/** The sink of an alert is no longer configured; what it was owed is kept for these days. */
export interface Removed {
  kind: 'removed';
  keptDays: number;
}

/** The result of an observation: an alert, or `unknown` if an open one stays as it is. */
export type Seen = Alert | Removed | 'unknown';

/** The current alerts by key; the one for rejected webhooks covers those since the last observation. */
export async function observe(
  trx: Trx,
  countsOf: CountsOf,
  local: LocalSignals,
  {
    SILENCE_ALERT_AFTER: silenceAfterMs,
    RETENTION_DAYS: keptDays,
    apps,
  }: Pick<Settings, 'SILENCE_ALERT_AFTER' | 'RETENTION_DAYS' | 'apps'>,
  now: number,
): Promise<Map<string, Seen>> {
  const found = new Map<string, Seen>();
  const open = { since: now, until: null };
  for (const sink of await trx.selectFrom('sink').selectAll().orderBy('id').execute()) {
    const { id, name, paused_at: pausedAt } = sink;
    if (sink.removed_at !== null) {
      for (const kind of ['incident', 'parked', 'differences']) found.set(`${kind} ${id}`, { kind: 'removed', keptDays });
      continue;
    }
    const stopped = stopOf(sink);
    const { queued: waiting, failed: count } = countsOf(id);
    const isReported = stopped && (now - stopped.since >= minStoppedMs || isReportedAtOnce(sink));
    // What a check found has not ended because an attempt has now found it, too, or because somebody has paused the sink.
    if (!isReported && (sink.state !== 'ok' || pausedAt !== null) && sink.check_state !== null) found.set(`incident ${id}`, 'unknown');
    if (isReported)
      found.set(`incident ${id}`, {
        ...open,
        kind: 'incident',
        sink: name,
        ...stopped,
        waiting,
        failures: await latestFailures(trx, id),
        paused: pausedAt !== null,
        by: (await pausedOrResumed(trx, name, stopped.since).executeTakeFirst())?.actor ?? null,
        removed: false,
      });
    const latest = count > 0 ? await latestParked(trx, id) : null;
    if (latest) found.set(`parked ${id}`, { ...open, kind: 'parked', sink: name, count, ...latest, removed: false });
    const differences = await differencesOf(trx, id, name, now);
    if (differences) found.set(`differences ${id}`, differences);
  }
  if (Object.keys(local.rejected).length > 0)
    found.set('rejected', { ...open, since: local.rejectedSince, kind: 'rejected', counts: local.rejected, last: now });
  for (const { sdk_app_id: app, state, state_since, reason, advice } of await trx.selectFrom('app').selectAll().execute()) {
    const since = state_since ?? now;
    const shown = state === 'misconfigured' ? state : 'retrying';
    if (state === 'ok' || !apps.some(({ sdkAppId }) => sdkAppId === app) || (shown === 'retrying' && now - since < minStoppedMs)) continue;
    found.set(`vendor ${app}`, { ...open, since, kind: 'vendor', app, state: shown, reason: reason ?? '', advice: advice ?? '' });
  }
  if (silenceAfterMs !== undefined) {
    // A time in the future was written while our clock was ahead.
    const arrivals = [await latestArrival(trx, 'received_at', now), local.webhookAt].filter(at => at !== null && at <= now);
    const since = Math.max(0, ...(arrivals as number[])) || local.startedAt;
    if (now - since >= silenceAfterMs)
      found.set('silence', { ...open, since, kind: 'silence', afterMs: silenceAfterMs, rejected: await wereRejected(trx, since, local) });
  }
  return found;
}

async function wereRejected(trx: Trx, since: number, { rejected }: LocalSignals): Promise<boolean> {
  if (Object.keys(rejected).length > 0) return true;
  const alerts = trx.selectFrom('alert').select('payload').where('key', '=', 'rejected');
  const alert = await alerts.orderBy('id', 'desc').limit(1).executeTakeFirst();
  return alert !== undefined && (JSON.parse(alert.payload) as AlertOf<'rejected'>).last >= since;
}

/** Why and since when a sink is stopped, or what a check of it found; `null` if it is fine. */
function stopOf({ state, stopped_since: since, reason, advice, paused_at: pausedAt, ...checked }: Row<'sink'>) {
  // Not `state_since`: a stop goes on if only its cause changes.
  if (state !== 'ok' && since !== null) return { state, since, reason: reason ?? '', advice: advice ?? '' } as const;
  if (pausedAt !== null) return { state: 'paused', since: since ?? pausedAt, reason: '', advice: '' } as const;
  const { check_state: found, check_since: foundAt, check_reason, check_advice } = checked;
  if (found === null || foundAt === null) return null;
  const shown = found === 'retrying' ? found : 'misconfigured';
  return { state: shown, since: foundAt, reason: check_reason ?? '', advice: check_advice ?? '' } as const;
}

/** Whether the problem was found by the check at startup or by one that a person requested; these are reported without delay. */
function isReportedAtOnce({ state, paused_at, check_since: since, start_check_at: startedAt }: Row<'sink'>): boolean {
  if (state !== 'ok' || paused_at !== null || since === null || startedAt === null) return false;
  return since >= startedAt && since - startedAt <= maxCheckMs;
}

/**
 * The latest failures of the delivery that has waited longest, which is the one that is probed. Reads only the start of an index: at a sink
 * that was paused while it worked, very many may wait and none has failed.
 */
async function latestFailures(trx: Trx, sink: number): Promise<{ at: number; error: string }[]> {
  const { rows } = await sql<{ at: number; error: string }>`
    select at, error from attempt where sink = ${sink} and error is not null and change_id = (
      select change_id from (
        select change_id, failing_since, enqueued_at from delivery where sink = ${sink} and state = 'pending'
        order by enqueued_at limit ${sql.lit(maxFailuresSearched)}) oldest
      where failing_since is not null order by enqueued_at limit 1)
    order by at desc limit ${sql.lit(failuresShown)}`.execute(trx);
  return rows;
}

async function latestParked(trx: Trx, sink: number): Promise<{ reason: string; advice: string } | null> {
  const deliveries = trx.selectFrom('delivery').select(['reason', 'advice']).where('sink', '=', sink);
  const parked = deliveries.where('state', '=', sql.lit('parked')).orderBy('change_id', 'desc');
  const row = await parked.limit(1).executeTakeFirst();
  return row ? { reason: row.reason ?? '', advice: row.advice ?? '' } : null;
}

/** `null` if the index is in sync or was never compared; `unknown` during a comparison and after a failed one. */
async function differencesOf(trx: Trx, sink: number, name: string, now: number): Promise<Seen | null> {
  const verify = await findJob<VerifyProgress>({ kysely: trx }, sink, 'verify');
  const rebuild = await findJob({ kysely: trx }, sink, 'rebuild');
  // An index that was rebuilt since is in sync.
  if (!verify || (rebuild?.state === 'done' && rebuild.finishedAt! > (verify.finishedAt ?? Infinity))) return null;
  if (verify.state !== 'done') return 'unknown';
  const { missing, older, newer, surplus, repaired } = verify.progress;
  if (missing + older + newer + surplus <= repaired) return null;
  return { since: now, until: null, kind: 'differences', sink: name, missing, older, newer, surplus, removed: false };
}

/** Who last paused or resumed a sink since then. The condition on the action is worded as in its partial index. */
export function pausedOrResumed(trx: Trx, sink: string, since: number) {
  return trx
    .selectFrom('audit')
    .select('actor')
    .where(sql<boolean>`action in ('pause', 'resume')`)
    .where('details', '=', JSON.stringify({ sink }))
    .where('at', '>=', since)
    .orderBy('id', 'desc')
    .limit(1);
}
