import { Injectable } from '@nestjs/common';
import { v4 as uuid } from 'uuid';
import type { Origin } from '../channel/origin.js';
import { unknownProfile } from '../channel/profile.js';
import { readProfile, readTime } from '../channel/stored.js';
import { Database } from '../database/database.js';
import type { Row, Trx } from '../database/tables.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { type Filterable, filtersFrom, wants } from '../sinks/filters.js';
import type { ChangeEvent, Mode } from '../sinks/sink.js';
import { modes } from './modes/modes.js';
import { maxAhead } from './retry.js';
import { type LaneWork, type LatestState, deliveryId, laneWork, stateEvent, newDelivery } from './work.js';

/** A change that is being recorded. */
export interface RecordedChange extends Filterable {
  id: string;
  /** The key of its channel's row. */
  channel: number;
  position: number;
  event: ChangeEvent;
  origin: Origin;
  /** About what its texts take in memory, in bytes. */
  bytes: number;
  /** How its channel is after all changes that are recorded together. */
  latest: LatestState & { version: number; updatedAt: number | null };
}

/** A sink that changes may go to. */
type FedSink = Pick<Row<'sink'>, 'id' | 'mode' | 'filters' | 'state' | 'paused_at' | 'held_until' | 'config_error_seq'>;

/** That a change goes to a sink. */
interface Enqueued {
  sink: Pick<FedSink, 'id' | 'mode'>;
  change: Pick<RecordedChange, 'id' | 'channel' | 'position'>;
}

/** A worker of this process. */
export interface LocalWorker {
  /** How many lanes more it would hold. */
  room(): number;
  /** Takes deliveries whose lanes are leased until a monotonic time. */
  accept(works: readonly LaneWork[], leasedUntil: number): void;
}

type LeasedLane = Pick<Row<'lane'>, 'sink' | 'channel' | 'lease' | 'tries' | 'config_error_seq' | 'sent_profile'>;

/** Writes what sinks are owed, in the transaction that records the changes, and hands it to workers of this process that have room for it. */
@Injectable()
export class Enqueuer {
  /** How many sinks each change may be owed to; a guess until it was read. */
  sinkCount = 100;
  private readonly workers = new Map<number, LocalWorker>();

  constructor(
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly events: EngineEvents,
  ) {}

  /** From now on a sink's worker takes what is recorded. */
  serve(sink: number, worker: LocalWorker): void {
    this.workers.set(sink, worker);
  }

  /** Reads the sinks that changes may go to. @returns waits for them */
  sinks(trx: Trx): Promise<() => Promise<FedSink[]>> {
    const columns = ['id', 'mode', 'filters', 'state', 'paused_at', 'held_until', 'config_error_seq'] as const;
    return this.database.send(trx, trx.selectFrom('sink').select(columns).where('removed_at', 'is', null).orderBy('id').compile());
  }

  /**
   * Enqueues each change to the sinks that want it; one without a revision goes to report sinks only.
   * @returns to be called after the commit: wakes the workers that have something to claim, and gives those of this process what was leased for them
   */
  async enqueue(trx: Trx, sinks: readonly FedSink[], changes: readonly RecordedChange[], now: number): Promise<() => Promise<void>> {
    this.sinkCount = Math.max(1, sinks.length);
    // Everybody who locks lanes takes them by sink and by channel, so that nobody waits in a circle.
    const byChannel = changes.toSorted((one, other) => one.channel - other.channel);
    const lease = uuid();
    // From `now` on: since then this may have waited for locks.
    const leasedUntil = this.clock.monotonic() - (this.clock.now() - now) + maxAhead.leaseMs;
    const due = new Set<number>();
    const leased = new Map<string, { sink: FedSink; change: RecordedChange }>();
    const enqueued: Enqueued[] = [];
    for (const sink of sinks) {
      const mode = sink.mode as Mode;
      const wanted = filtersFrom(sink.filters);
      const own = byChannel.filter(change => isOwed(mode, change) && wants(wanted, change));
      for (const change of own) enqueued.push({ sink, change });
      const { firstOf } = modes[mode];
      let room = firstOf ? this.roomAt(sink, now) : 0;
      for (const lane of Map.groupBy(own, change => change.channel).values()) {
        if (room-- <= 0) due.add(sink.id);
        else leased.set(keyOf(sink.id, lane[0]!.channel), { sink, change: firstOf!(lane) });
      }
    }
    const lanes = await writeEnqueued(this.database, trx, enqueued, now, key => (leased.has(key) ? lease : null));
    if (due.size > 0) await this.database.notify(trx, due);
    return async () => {
      if (due.size > 0) this.events.emit('due', due);
      if (leased.size === 0) return;
      // Lanes that had something to do already have not taken our lease.
      const ours = (await lanes()).filter(lane => lane.lease === lease);
      for (const [id, some] of Map.groupBy(ours, lane => lane.sink)) {
        const works = some.flatMap(lane => workOf(lane, leased.get(keyOf(id, lane.channel))!) ?? []);
        this.workers.get(id)!.accept(works, leasedUntil);
      }
    };
  }

  /** How many lanes of a sink may be handed to its worker: none unless the sink is well and nothing holds it back. */
  private roomAt({ id, state, paused_at: pausedAt, held_until: heldUntil }: FedSink, now: number): number {
    const open = state === 'ok' && pausedAt === null && (heldUntil ?? 0) <= now && this.database.time.jump === 0;
    return open ? (this.workers.get(id)?.room() ?? 0) : 0;
  }
}

/** A change that alters nothing is for report sinks alone, and one of an import for all but them: they tell of the import as a whole. */
function isOwed(mode: Mode, { event }: RecordedChange): boolean {
  const { revision, source } = event.data;
  return mode === 'report' ? source !== 'import' : revision !== null;
}

const keyOf = (sink: number, channel: number): string => `${sink} ${channel}`;

/**
 * Writes a delivery for each (sink, change); what is there already stays as it is. Makes idle lanes of log and state sinks due, and adds to the refresh
 * queue of report sinks, for which no other sink ever waits. Lanes are locked by sink, then by channel, as everywhere.
 * @param leaseOf the lease that a lane gets if it had nothing to do
 * @returns waits for the lanes that had nothing to do
 */
export async function writeEnqueued(
  database: Database,
  trx: Trx,
  enqueued: readonly Enqueued[],
  now: number,
  leaseOf: (key: string) => string | null = () => null,
): Promise<() => Promise<LeasedLane[]>> {
  const lanes = new Map<string, Pick<Row<'lane'>, 'sink' | 'channel' | 'due_at' | 'lease'>>();
  for (const { sink, change } of enqueued) {
    const key = keyOf(sink.id, change.channel);
    if (sink.mode === 'report' || lanes.has(key)) continue;
    const lease = leaseOf(key);
    lanes.set(key, { sink: sink.id, channel: change.channel, due_at: lease === null ? now : now + maxAhead.leaseMs, lease });
  }
  // The lanes come first: their lock makes a worker that settles at this moment see the deliveries, or us see the lane that it left idle.
  const idle = await database.insert<'lane', LeasedLane>(
    trx,
    'lane',
    [...lanes.values()],
    `on conflict (sink, channel) do update set due_at = excluded.due_at, lease = excluded.lease where lane.due_at is null
     returning sink, channel, lease, tries, config_error_seq, sent_profile`,
  );
  const times = { enqueued_at: now, updated_at: now };
  const deliveries = enqueued.map(({ sink, change: { id, channel, position } }) => {
    return { change_id: id, sink: sink.id, channel, position, ...times };
  });
  await database.insert(trx, 'delivery', deliveries, 'on conflict do nothing');
  const reports = enqueued.filter(({ sink }) => sink.mode === 'report');
  const refreshes = reports.map(({ sink, change: { id, channel } }) => ({ sink: sink.id, change_id: id, channel }));
  await database.insert(trx, 'report_refresh', refreshes);
  return idle;
}

/** What a leased lane is to attempt, as it would be loaded; `null` if its row is damaged, which whoever claims it after the lease sees to. */
function workOf(lane: LeasedLane, { sink, change }: { sink: FedSink; change: RecordedChange }): LaneWork | null {
  const event = eventOf(lane, sink.mode, change);
  if (event === null) return null;
  const { id, origin, position, latest, bytes } = change;
  const updatedAt = latest.updatedAt === null ? event.timestamp : readTime(latest.updatedAt);
  const delivery = { id: deliveryId(id, sink.id), event, origin, version: latest.version, updatedAt };
  const lease = { lease: lane.lease!, sinkConfigErrorSeq: sink.config_error_seq, probe: false };
  const row = {
    ...newDelivery,
    channel: lane.channel,
    lane_tries: lane.tries,
    config_error_seq: lane.config_error_seq,
    change_id: id,
    position,
  };
  return laneWork(lease, row, delivery, bytes + (lane.sent_profile?.length ?? 0));
}

function eventOf({ sent_profile: sent }: LeasedLane, mode: string, { event, latest }: RecordedChange): ChangeEvent | null {
  if (mode !== 'state') return event;
  try {
    return stateEvent(event, latest, sent === null ? unknownProfile : readProfile(sent));
  } catch {
    return null;
  }
}
