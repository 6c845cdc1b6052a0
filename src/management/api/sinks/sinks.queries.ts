import { sql } from 'kysely';
import { inEnglish, inEnglishOrNull } from '../../../explanations/explanation.js';
import type { Database } from '../../../database/database.js';
import { countInParts } from '../../../reports/counting.js';
import type { SinkStatus } from '../../sink-states.js';
import type { CountsDto, SinkDto } from './sink.dto.js';
import { toDateOrNull } from '../times.js';

/** Why a sink is in its state, since when, and what to do. */
type StateDetails = Pick<SinkDto, 'reason' | 'advice'> & { since: number | null };

/** Sinks as the API shows them, with their delivery counts. */
export async function showSinks(database: Database, sinks: readonly SinkStatus[]): Promise<SinkDto[]> {
  const counts = await countsOf(database, sinks);
  return Promise.all(
    sinks.map(async sink => {
      const { since, reason, advice } = await stateDetailsOf(database, sink);
      const { id, name, type, state, lagSeconds } = sink;
      const why = { reason: inEnglishOrNull(reason), advice: inEnglishOrNull(advice) };
      return {
        name,
        type,
        mode: sink.mode as SinkDto['mode'],
        state,
        since: toDateOrNull(since),
        ...why,
        lagSeconds,
        counts: counts.get(id)!,
      };
    }),
  );
}

async function countsOf(database: Database, sinks: readonly SinkStatus[]): Promise<Map<number, CountsDto>> {
  const none = { owed: 0, pending: 0, delivered: 0, superseded: 0, parked: 0, discarded: 0 };
  const counts = new Map(sinks.map(({ id }) => [id, { ...none }]));
  if (sinks.length === 0) return counts;
  await countInParts(database.kysely.selectFrom('delivery'), ['change_id', ''], async part => {
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
  });
  return counts;
}

export async function stateDetailsOf(database: Database, sink: SinkStatus): Promise<StateDetails> {
  switch (sink.state) {
    case 'ok':
      return { since: null, reason: null, advice: null };
    case 'paused':
      return {
        since: sink.paused_at,
        reason: inEnglish(['paused']),
        advice: inEnglish(['resume', sink.name]),
      };
    case 'removed':
      return {
        since: sink.removed_at,
        reason: inEnglish(['not_configured']),
        advice: inEnglish(['declare_again', `SINK_${sink.name.toUpperCase()}_TYPE=${sink.type}`]),
      };
    case 'misconfigured':
    case 'down':
      return sink.state_since === null ? foundByCheck(sink) : { ...sink, since: sink.state_since };
    case 'retrying':
      return (await oldestFailing(database, sink.id)) ?? foundByCheck(sink);
  }
}

function foundByCheck({ check_since: since, check_reason: reason, check_advice: advice }: SinkStatus): StateDetails {
  return { since, reason, advice };
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
