import { setImmediate as nextTurn } from 'node:timers/promises';
import { sql } from 'kysely';
import { type Doing, recordAction } from '../database/audit.js';
import type { Database } from '../database/database.js';
import { pageRows } from '../database/limits.js';
import { channelsOf, lockLanes } from '../database/locks.js';
import type { Trx } from '../database/tables.js';
import { enqueueRefreshes } from '../reports/refresh-queue.js';
import { selectedChanges } from './api/changes/changes.queries.js';
import type { ReplayDto, ReplayedDto } from './api/deliveries/delivery.dto.js';

export type ReplaySelection = Omit<ReplayDto, 'dryRun'>;

/**
 * Makes ended deliveries pending again, under the same ids, and records the action if there are any. Skips sinks that are not configured.
 * Each page is a transaction of its own, so an interrupted replay can be repeated.
 * @param wake called after each page with the sinks that have work
 */
export async function replay(
  database: Database,
  selection: ReplaySelection,
  dryRun: boolean,
  doing: Doing,
  wake: (sinks: number[]) => void,
): Promise<ReplayedDto> {
  const sinks = await database.kysely
    .selectFrom('sink')
    .select(['id', 'mode'])
    .where('removed_at', 'is', null)
    .$if(selection.sink !== undefined, found => found.where('name', '=', selection.sink!))
    .orderBy('id')
    .execute();
  const counts: ReplayedDto = { matched: 0, replayed: 0, skippedAsStale: 0 };
  for (const sink of sinks) {
    for (let after: string | null = ''; after !== null; await nextTurn()) {
      const page: Awaited<ReturnType<typeof replayPage>> = await database.kysely.transaction().execute(async trx => {
        const done = await replayPage(database, trx, sink, selection, after!, dryRun, doing.at);
        if (!dryRun && counts.replayed === 0 && done.matched > done.stale)
          await recordAction(trx, doing, 'replay', selection, selection.changeId ?? null);
        return done;
      });
      counts.matched += page.matched;
      counts.skippedAsStale += page.stale;
      counts.replayed += page.matched - page.stale;
      after = page.last;
      if (page.sinks.length > 0) wake(page.sinks);
    }
  }
  return counts;
}

/** @returns `last`: the change after which the next page starts, `null` at the end; `sinks`: those that have work */
async function replayPage(
  database: Database,
  trx: Trx,
  sink: { id: number; mode: string },
  selection: ReplaySelection,
  after: string,
  dryRun: boolean,
  now: number,
): Promise<{ matched: number; stale: number; last: string | null; sinks: number[] }> {
  const { state = 'parked', changeId } = selection;
  const changes = selectedChanges(database, selection);
  const rows = await trx
    .selectFrom('delivery')
    .innerJoin('change', 'change.id', 'delivery.change_id')
    .innerJoin('lane', join => join.onRef('lane.sink', '=', 'delivery.sink').onRef('lane.channel', '=', 'delivery.channel'))
    .select(['delivery.change_id as changeId', 'delivery.channel', 'change.revision', 'lane.sent_revision'])
    .where('delivery.sink', '=', sink.id)
    .where('delivery.state', '=', state)
    .where('delivery.change_id', '>', after)
    .$if(changeId !== undefined, found => found.where('delivery.change_id', '=', changeId!))
    .$if(changes !== null, found => found.where('delivery.change_id', 'in', changes!))
    .orderBy('delivery.change_id')
    .limit(pageRows)
    .execute();
  const last = rows.length < pageRows ? null : rows.at(-1)!.changeId;
  const fresh = rows.filter(row => sink.mode !== 'state' || row.sent_revision === null || row.revision! >= row.sent_revision);
  const page = { matched: rows.length, stale: rows.length - fresh.length, last };
  if (dryRun || fresh.length === 0) return { ...page, sinks: [] };

  const [channels, changeIds] = [channelsOf(fresh), fresh.map(row => row.changeId)];
  await lockLanes(database, trx, sink.id, fresh);
  const { numUpdatedRows } = await trx
    .updateTable('delivery')
    .set({ state: 'pending', open: 1, tries: 0, enqueued_at: now, updated_at: now, ...noFailure })
    .where('sink', '=', sink.id)
    .where('state', '=', state)
    .where(database.isAmong('change_id', changeIds))
    .executeTakeFirst();
  // Clearing superseded_before keeps replayed deliveries from being superseded. A leased lane finds them when it is settled.
  await sql`
      update lane set superseded_before = null, due_at = case when lease is null then ${now} else due_at end,
        tries = case when lease is null then 0 else tries end, config_error_seq = case when lease is null then null else config_error_seq end
      where sink = ${sink.id} and ${database.isAmong('channel', channels)}`.execute(trx);
  const reports = sink.mode === 'report' ? [] : await enqueueRefreshes(database, trx, fresh);
  const sinks = [sink.id, ...reports];
  await database.notify(trx, sinks);
  // A concurrent replay may already have updated some of them.
  return { ...page, matched: Number(numUpdatedRows) + page.stale, sinks };
}

const noFailure = { failing_since: null, stopped_ms: null, cause: null, reason: null, advice: null };
