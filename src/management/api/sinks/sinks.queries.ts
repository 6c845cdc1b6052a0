import { ConflictException, NotFoundException } from '@nestjs/common';
import { sql } from 'kysely';
import { wellFormed } from '../../../channel/origin.js';
import { inEnglishOrNull, stored } from '../../../explanations/explanation.js';
import type { Database } from '../../../database/database.js';
import type { Row } from '../../../database/tables.js';
import { inParts } from '../../../reports/counting.js';
import type { CountsDto, SinkDto, SinkState } from './sink.dto.js';
import { toDateOrNull } from '../values.js';

export interface SinkStatus extends Omit<Row<'sink'>, 'state'> {
  state: SinkState;
  /** Age of its oldest pending delivery, 0 if there is none; `null` if it was removed. */
  lagSeconds: number | null;
}

/** All sinks with their states, latest first; of sinks whose type or mode was changed only the latest row. One query without counts. */
export async function sinkStates(database: Database, now: number): Promise<SinkStatus[]> {
  const rows = await database.kysely
    .selectFrom('sink')
    .selectAll()
    .select(eb => [
      // Lanes without open deliveries are not failing. Reads an index of failing lanes: a sink may have very many waiting ones.
      eb
        .selectFrom('lane')
        .select('lane.channel')
        .whereRef('lane.sink', '=', 'sink.id')
        .where('lane.due_at', 'is not', null)
        .where('lane.tries', '>', sql.lit(0))
        .limit(1)
        .as('failing'),
      eb
        .selectFrom('delivery')
        .select(({ fn }) => fn.min('delivery.enqueued_at').as('at'))
        .whereRef('delivery.sink', '=', 'sink.id')
        .where('delivery.state', '=', sql.lit('pending'))
        .as('oldest'),
    ])
    .where('sink.id', 'in', eb =>
      eb
        .selectFrom('sink as named')
        .select(({ fn }) => fn.max('named.id').as('id'))
        .groupBy('named.name'),
    )
    .orderBy('sink.id', 'desc')
    .execute();
  return rows.map(({ failing, oldest, ...row }) => ({
    ...row,
    state: stateOf(row, failing !== null),
    lagSeconds: row.removed_at !== null ? null : oldest === null ? 0 : Math.max(0, now - oldest) / 1000,
  }));
}

/** The sink with this name. @throws HttpException if there is none */
export async function sinkNamed(database: Database, name: string, now: number): Promise<SinkStatus> {
  const sink = (await sinkStates(database, now)).find(sink => sink.name === wellFormed(name));
  if (!sink) throw new NotFoundException('no sink has this name');
  return sink;
}

/** The sink with this name, if it is configured. @throws HttpException if not */
export async function configuredSink(database: Database, name: string, now: number): Promise<SinkStatus> {
  const sink = await sinkNamed(database, name, now);
  if (sink.state === 'removed') throw notConfigured();
  return sink;
}

export function notConfigured(): ConflictException {
  return new ConflictException('this sink is no longer configured: declare it again to use it');
}

/** The outcome of attempts takes precedence over that of checks. */
function stateOf(sink: Row<'sink'>, failing: boolean): SinkState {
  if (sink.removed_at !== null) return 'removed';
  if (sink.paused_at !== null) return 'paused';
  if (sink.state === 'misconfigured' || sink.state === 'down') return sink.state;
  if (sink.check_state === 'misconfigured') return 'misconfigured';
  return failing || sink.check_state !== null ? 'retrying' : 'ok';
}

/** Why a sink is in its state, since when, and what to do. */
type StateDetails = Pick<SinkDto, 'reason' | 'advice'> & { since: number | null };

/** Sinks as the API shows them, with their delivery counts. */
export async function showSinks(database: Database, sinks: readonly SinkStatus[]): Promise<SinkDto[]> {
  const counts = await countsOf(database, sinks);
  return Promise.all(
    sinks.map(async sink => {
      const { since, reason, advice } = await stateDetailsOf(database, sink);
      const { id, name, type, state, lagSeconds } = sink;
      const why = { since: toDateOrNull(since), reason: inEnglishOrNull(reason), advice: inEnglishOrNull(advice) };
      return { name, type, mode: sink.mode as SinkDto['mode'], state, ...why, lagSeconds, counts: counts.get(id)! };
    }),
  );
}

async function countsOf(database: Database, sinks: readonly SinkStatus[]): Promise<Map<number, CountsDto>> {
  const none = { owed: 0, pending: 0, delivered: 0, superseded: 0, parked: 0, discarded: 0 };
  const counts = new Map(sinks.map(({ id }) => [id, { ...none }]));
  if (sinks.length === 0) return counts;
  for await (const part of inParts(database.kysely.selectFrom('delivery'), 'change_id')) {
    const rows = await part
      .select(({ fn }) => ['sink', 'state', fn.countAll<number>().as('count')])
      .where('sink', 'in', [...counts.keys()])
      .groupBy(['sink', 'state'])
      .execute();
    for (const { sink, state, count } of rows) {
      const sinkCounts = counts.get(sink)!;
      sinkCounts[state as keyof CountsDto] += count;
      sinkCounts.owed += count;
    }
  }
  return counts;
}

export async function stateDetailsOf(database: Database, sink: SinkStatus): Promise<StateDetails> {
  const { name, type, state } = sink;
  const foundByCheck = { since: sink.check_since, reason: sink.check_reason, advice: sink.check_advice };
  switch (state) {
    case 'ok':
      return { since: null, reason: null, advice: null };
    case 'paused':
      return { since: sink.paused_at, reason: stored(['paused']), advice: stored(['resume', name]) };
    case 'removed': {
      const advice = stored(['declare_again', `SINK_${name.toUpperCase()}_TYPE=${type}`]);
      return { since: sink.removed_at, reason: stored(['not_configured']), advice };
    }
    case 'misconfigured':
    case 'down':
      // As in alerts: a stop goes on if only its cause changes.
      return sink.state_since === null ? foundByCheck : { since: sink.stopped_since, reason: sink.reason, advice: sink.advice };
    case 'retrying':
      return (await oldestFailing(database, sink.id)) ?? foundByCheck;
  }
}

/** The oldest pending delivery that has failed. Reads only the start of an index, because a failing sink may have very many. */
async function oldestFailing(database: Database, sink: number): Promise<StateDetails | null> {
  const failing = database.kysely
    .selectFrom('delivery')
    .select(['failing_since as since', 'reason', 'advice'])
    .where('sink', '=', sink)
    .where('failing_since', 'is not', null)
    .limit(1);
  const pending = await failing.where('state', '=', sql.lit('pending')).orderBy('enqueued_at').executeTakeFirst();
  // A report that was already posted may be failing only to be edited.
  return pending ?? (await failing.where('open', '=', sql.lit(1)).orderBy('failing_since').executeTakeFirst()) ?? null;
}
