import { inEnglishOrNull } from '../../../explanations/explanation.js';
import type { Database } from '../../../database/database.js';
import { nextAttemptAt, nextAttemptColumns } from '../../../delivery/retry.js';
import { deliveryId } from '../../../delivery/work.js';
import { selectedChanges } from '../changes/changes.queries.js';
import type { AttemptDto, DeliveriesQuery, DeliveryDto, DeliveryWithAttemptsDto } from './delivery.dto.js';
import { toDate, toDateOrNull } from '../values.js';

export interface DeliveryKey {
  changeId: string;
  sink: number;
}

type Row = Awaited<ReturnType<ReturnType<typeof selectDeliveries>['execute']>>[number];

function selectDeliveries(database: Database) {
  return database.kysely
    .selectFrom('delivery')
    .innerJoin('sink', 'sink.id', 'delivery.sink')
    .innerJoin('change', 'change.id', 'delivery.change_id')
    .innerJoin('channel', 'channel.id', 'delivery.channel')
    .leftJoin('lane', join => join.onRef('lane.sink', '=', 'delivery.sink').onRef('lane.channel', '=', 'delivery.channel'))
    .select(nextAttemptColumns)
    .select(['delivery.change_id', 'delivery.sink', 'delivery.state', 'delivery.tries', 'delivery.reason', 'delivery.advice'])
    .select(['delivery.updated_at', 'sink.name', 'channel.sdk_app_id', 'channel.channel_id', 'change.revision'])
    .$narrowType<Pick<DeliveryDto, 'state'>>();
}

function showDelivery(row: Row): DeliveryDto {
  return {
    id: deliveryId(row.change_id, row.sink),
    sink: row.name,
    state: row.state,
    sdkAppId: row.sdk_app_id,
    channelId: row.channel_id,
    changeId: row.change_id,
    revision: row.revision,
    tries: row.tries,
    reason: inEnglishOrNull(row.reason),
    advice: inEnglishOrNull(row.advice),
    nextAttemptAt: row.state === 'pending' ? toDateOrNull(nextAttemptAt(row)) : null,
    updatedAt: toDate(row.updated_at),
  };
}

/** The deliveries that match, latest change first, starting after `after`; one more than the limit if there is a next page. */
export async function findDeliveries(database: Database, query: DeliveriesQuery, after: DeliveryKey | null): Promise<DeliveryDto[]> {
  const changes = selectedChanges(database, query);
  // The page is selected before joining: SQLite would join all deliveries first.
  const page = database.kysely
    .selectFrom('delivery')
    .select(['change_id', 'sink'])
    .$if(query.sink !== undefined, found =>
      found.where('sink', 'in', eb => eb.selectFrom('sink').select('id').where('name', '=', query.sink!)),
    )
    .$if(query.state !== undefined, found => found.where('state', '=', query.state!))
    .$if(changes !== null, found => found.where('change_id', 'in', changes!))
    .$if(after !== null, found => found.where(eb => eb(eb.refTuple('change_id', 'sink'), '<', eb.tuple(after!.changeId, after!.sink))))
    .orderBy('change_id', 'desc')
    .orderBy('sink', 'desc')
    .limit(query.limit + 1);
  const rows = await selectDeliveries(database)
    .where(eb => eb(eb.refTuple('delivery.change_id', 'delivery.sink'), 'in', page.$asTuple('change_id', 'sink')))
    .orderBy('delivery.change_id', 'desc')
    .orderBy('delivery.sink', 'desc')
    .execute();
  return rows.map(showDelivery);
}

/** One delivery; `null` if the key is unknown. */
export async function findDelivery(database: Database, { changeId, sink }: DeliveryKey): Promise<DeliveryDto | null> {
  const row = await selectDeliveries(database)
    .where('delivery.change_id', '=', changeId)
    .where('delivery.sink', '=', sink)
    .executeTakeFirst();
  return row ? showDelivery(row) : null;
}

/** The deliveries of a change with their attempts, by sink name. */
export async function deliveriesOf(database: Database, changeId: string): Promise<DeliveryWithAttemptsDto[]> {
  const rows = await selectDeliveries(database)
    .where('delivery.change_id', '=', changeId)
    .orderBy('sink.name')
    .orderBy('sink.id')
    .execute();
  const attempts = await attemptsOf(database, changeId);
  return rows.map(row => ({
    ...showDelivery(row),
    attempts: attempts.flatMap(({ sink, at, durationMs, outcome, status, error, response }) =>
      sink === row.sink ? { at: toDate(at), durationMs, outcome, status, error: inEnglishOrNull(error), response } : [],
    ),
  }));
}

/** All attempts at the deliveries of a change, oldest first. */
export function attemptsOf({ kysely }: Database, changeId: string) {
  return kysely
    .selectFrom('attempt')
    .innerJoin('sink', 'sink.id', 'attempt.sink')
    .select(['attempt.sink', 'sink.name', 'sink.mode', 'at', 'duration_ms as durationMs', 'outcome', 'status', 'error', 'response'])
    .$narrowType<Pick<AttemptDto, 'outcome'>>()
    .where('change_id', '=', changeId)
    .orderBy('at')
    .execute();
}
