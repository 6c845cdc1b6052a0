import { setImmediate as nextTurn } from 'node:timers/promises';
import { type SelectQueryBuilder, sql } from 'kysely';
import { type Doing, recordAction } from '../database/audit.js';
import type { Database } from '../database/database.js';
import type { Tables, Trx } from '../database/tables.js';
import { channelsOf, lockLanes } from '../database/locks.js';
import { enqueueRefreshes } from '../reports/refresh-queue.js';
import { deliveryId } from '../delivery/work.js';

/** How many deliveries go into one transaction: webhooks that are recorded meanwhile wait for no more than one. */
const pageSize = 500;

/** What is to be sent once more. */
export interface ReplaySelection {
  /** Only of the sink with this name. */
  sink: string | null;
  /** The state that they are in: anything but pending. */
  state: string;
  changeId: string | null;
  /** Selects the ids of changes; `null` for all. */
  changes: SelectQueryBuilder<Tables, 'change', { id: string }> | null;
}

/** What a replay did, or would do. */
export interface ReplayCounts {
  matched: number;
  replayed: number;
  /** Of state sinks: older than what the sink has. */
  skippedAsStale: number;
}

/** Who else has to do with a replay. */
export interface ReplayEvents {
  /** Puts it on record, in the first transaction that replays something. */
  record(trx: Trx): Promise<void>;
  /** Told after each page which sinks have something to do. */
  wake(sinks: number[]): void;
}

/**
 * Makes ended deliveries pending again, under their ids, to be sent as soon as their sinks take them. A page a transaction: one that is cut short may be
 * asked for again. Sinks that are not configured are left out.
 */
export async function replay(
  database: Database,
  selection: ReplaySelection,
  dryRun: boolean,
  now: () => number,
  events: ReplayEvents,
): Promise<ReplayCounts> {
  const sinks = await database.kysely
    .selectFrom('sink')
    .select(['id', 'mode'])
    .where('removed_at', 'is', null)
    .$if(selection.sink !== null, found => found.where('name', '=', selection.sink!))
    .orderBy('id')
    .execute();
  const counts: ReplayCounts = { matched: 0, replayed: 0, skippedAsStale: 0 };
  for (const sink of sinks) {
    let after: string | null = '';
    while (after !== null) {
      const page = await database.kysely.transaction().execute(async trx => {
        const done = await replayPage(database, trx, sink, selection, after!, dryRun, now());
        if (!dryRun && counts.replayed === 0 && done.matched > done.stale) await events.record(trx);
        return done;
      });
      counts.matched += page.matched;
      counts.skippedAsStale += page.stale;
      counts.replayed += page.matched - page.stale;
      after = page.last;
      if (page.sinks.length > 0) events.wake(page.sinks);
      await nextTurn();
    }
  }
  return counts;
}

interface Page {
  matched: number;
  stale: number;
  /** Where the next page begins; `null` at the end. */
  last: string | null;
  sinks: number[];
}

async function replayPage(
  database: Database,
  trx: Trx,
  sink: { id: number; mode: string },
  { state, changeId, changes }: ReplaySelection,
  after: string,
  dryRun: boolean,
  now: number,
): Promise<Page> {
  const rows = await trx
    .selectFrom('delivery')
    .innerJoin('change', 'change.id', 'delivery.change_id')
    .innerJoin('lane', join => join.onRef('lane.sink', '=', 'delivery.sink').onRef('lane.channel', '=', 'delivery.channel'))
    .select(['delivery.change_id as changeId', 'delivery.channel', 'change.revision', 'lane.sent_revision'])
    .where('delivery.sink', '=', sink.id)
    .where('delivery.state', '=', state)
    .where('delivery.change_id', '>', after)
    .$if(changeId !== null, found => found.where('delivery.change_id', '=', changeId!))
    .$if(changes !== null, found => found.where('delivery.change_id', 'in', changes!))
    .orderBy('delivery.change_id')
    .limit(pageSize)
    .execute();
  const last = rows.length < pageSize ? null : rows.at(-1)!.changeId;
  const fresh = rows.filter(row => sink.mode !== 'state' || row.sent_revision === null || row.revision! >= row.sent_revision);
  const page = { matched: rows.length, stale: rows.length - fresh.length, last };
  if (dryRun || fresh.length === 0) return { ...page, sinks: [] };

  const [channels, changeIds] = [channelsOf(fresh), fresh.map(row => row.changeId)];
  await lockLanes(database, trx, sink.id, fresh);
  const { numUpdatedRows } = await trx
    .updateTable('delivery')
    .set({ state: 'pending', open: 1, tries: 0, enqueued_at: now, updated_at: now, ...calm })
    .where('sink', '=', sink.id)
    .where('state', '=', state)
    .where(database.isAmong('change_id', changeIds))
    .executeTakeFirst();
  // What is asked for is attempted, also in a lane that is not through with what it superseded. A lane at work looks by itself for what is open when it is done.
  await sql`
      update lane set superseded_before = null, due_at = case when lease is null then ${now} else due_at end,
        tries = case when lease is null then 0 else tries end, config_error_seq = case when lease is null then null else config_error_seq end
      where sink = ${sink.id} and ${database.isAmong('channel', channels)}`.execute(trx);
  const reports = sink.mode === 'report' ? [] : await enqueueRefreshes(trx, fresh);
  const sinks = [sink.id, ...reports];
  await database.notify(trx, sinks);
  // Somebody else may have been faster with some of them.
  return { ...page, matched: Number(numUpdatedRows) + page.stale, sinks };
}

/** As if it had never failed. */
const calm = { failing_since: null, stopped_ms: null, cause: null, reason: null, advice: null };

/** What became of a wish to discard: whether it is done, else the state that forbids it. */
export interface Discarded {
  discarded: boolean;
  state: string;
  /** The name of its sink. */
  name: string;
  /** The report sinks that have to tell of it. */
  sinks: number[];
}

/** Gives up a parked delivery for good, on record with who did it. `null` if there is no such delivery. */
export async function discard(
  database: Database,
  { changeId, sink }: { changeId: string; sink: number },
  reason: string,
  doing: Doing,
): Promise<Discarded | null> {
  return database.kysely.transaction().execute(async trx => {
    const found = await trx
      .selectFrom('delivery')
      .innerJoin('sink', 'sink.id', 'delivery.sink')
      .select(['delivery.channel', 'delivery.state', 'sink.name'])
      .where('delivery.change_id', '=', changeId)
      .where('delivery.sink', '=', sink)
      .executeTakeFirst();
    if (!found) return null;
    const { name } = found;
    await lockLanes(database, trx, sink, [found]);
    const { numUpdatedRows } = await trx
      .updateTable('delivery')
      .set({ state: 'discarded', open: 0, cause: null, reason, advice: null, updated_at: doing.at })
      .where('change_id', '=', changeId)
      .where('sink', '=', sink)
      .where('state', '=', 'parked')
      .executeTakeFirst();
    if (numUpdatedRows === 0n) return { state: found.state, discarded: false, name, sinks: [] };
    await recordAction(trx, doing, 'discard', { delivery: deliveryId(changeId, sink) }, changeId);
    const sinks = await enqueueRefreshes(trx, [{ changeId, channel: found.channel }]);
    if (sinks.length > 0) await database.notify(trx, sinks);
    return { state: 'discarded', discarded: true, name, sinks };
  });
}
