import { Injectable } from '@nestjs/common';
import { v4 as uuid } from 'uuid';
import type { Origin } from '../channel/origin.js';
import { readProfile, readTime } from '../channel/stored.js';
import { Database } from '../database/database.js';
import type { Row, Trx } from '../database/tables.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { type Filterable, filtersFrom, wants } from '../sinks/filters.js';
import type { ChangeEvent, Mode } from '../sinks/sink.js';
import { modes } from './modes/modes.js';
import { leaseMs } from './retry.js';
import { type LaneWork, type LatestState, deliveryId, laneWork, stateEvent, newDelivery } from './work.js';

export interface RecordedChange extends Filterable {
  id: string;
  /** The primary key of its channel. */
  channel: number;
  position: number;
  event: ChangeEvent;
  origin: Origin;
  /** Approximate size of its texts in bytes. */
  bytes: number;
  /** The state of its channel after all changes of this transaction. */
  latest: LatestState & { version: number; updatedAt: number | null };
}

type FedSink = Pick<Row<'sink'>, 'id' | 'mode' | 'filters' | 'state' | 'paused_at' | 'held_until' | 'config_error_seq'>;

interface Enqueued {
  sink: Pick<FedSink, 'id' | 'mode'>;
  change: Pick<RecordedChange, 'id' | 'channel' | 'position'>;
}

/** A worker of this process. */
export interface LocalWorker {
  room(): number;
  /** Hands over deliveries whose lanes are leased until a monotonic time. */
  accept(works: readonly LaneWork[], leasedUntil: number): void;
}

type LeasedLane = Pick<Row<'lane'>, 'sink' | 'channel' | 'lease' | 'tries' | 'config_error_seq' | 'sent_profile'>;

/** Writes deliveries in the transaction that records the changes, and hands them directly to workers of this process that have room. */
@Injectable()
export class Enqueuer {
  /** Maximum number of deliveries per change; an estimate until the sinks are first read. */
  sinkCount = 100;
  private readonly workers = new Map<number, LocalWorker>();

  constructor(
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly events: EngineEvents,
  ) {}

  /** Registers a worker to receive deliveries of a sink directly. */
  serve(sink: number, worker: LocalWorker): void {
    this.workers.set(sink, worker);
  }

  /** Reads the sinks that may receive changes. @returns a function that awaits them */
  sinks(trx: Trx): Promise<() => Promise<FedSink[]>> {
    const columns = ['id', 'mode', 'filters', 'state', 'paused_at', 'held_until', 'config_error_seq'] as const;
    // With the shared clock: after a jump that we have not noticed, a lease of ours would be over for the others.
    const query = trx.selectFrom('sink').select(columns).select(this.database.clock.as('clock'));
    return this.database.send(trx, query.where('removed_at', 'is', null).orderBy('id').compile());
  }

  /**
   * Enqueues each change for the sinks whose filters match; one without a revision goes to report sinks only.
   * @returns to be called after the commit: wakes the workers of due lanes and hands leased lanes to the workers of this process
   */
  async enqueue(trx: Trx, sinks: readonly FedSink[], changes: readonly RecordedChange[], now: number): Promise<() => Promise<void>> {
    this.sinkCount = Math.max(1, sinks.length);
    // Lanes are always locked ordered by sink, then by channel, to avoid deadlocks.
    const byChannel = changes.toSorted((a, b) => a.channel - b.channel);
    const lease = uuid();
    // Counted from `now`: this transaction may have waited for locks since.
    const leasedUntil = this.clock.monotonic() - (this.clock.now() - now) + leaseMs;
    const due = new Set<number>();
    const leased = new Map<string, { sink: FedSink; change: RecordedChange }>();
    const enqueued: Enqueued[] = [];
    for (const sink of sinks) {
      const mode = sink.mode as Mode;
      const filters = filtersFrom(sink.filters);
      const wanted = byChannel.filter(change => isOwed(mode, change) && wants(filters, change));
      for (const change of wanted) enqueued.push({ sink, change });
      const { firstOf } = modes[mode];
      let room = firstOf ? this.roomAt(sink, now) : 0;
      for (const [channel, laneChanges] of Map.groupBy(wanted, change => change.channel)) {
        if (room-- <= 0) due.add(sink.id);
        else leased.set(laneKey(sink.id, channel), { sink, change: firstOf!(laneChanges) });
      }
    }
    const lanes = await writeEnqueued(this.database, trx, enqueued, now, key => (leased.has(key) ? lease : null));
    if (due.size > 0) await this.database.notify(trx, due);
    return async () => {
      if (due.size > 0) this.events.emit('due', due);
      if (leased.size === 0) return;
      // Lanes that already had work did not take our lease.
      const ours = (await lanes()).filter(lane => lane.lease === lease);
      for (const [id, sinkLanes] of Map.groupBy(ours, lane => lane.sink)) {
        const works = sinkLanes.flatMap(lane => {
          try {
            return workOf(lane, leased.get(laneKey(id, lane.channel))!);
          } catch {
            // Its claim, once the lease has expired, handles the damaged row.
            return [];
          }
        });
        this.workers.get(id)!.accept(works, leasedUntil);
      }
    };
  }

  /** How many lanes may be handed to the sink's worker: none unless the sink is healthy, not paused and not held back. */
  private roomAt({ id, state, paused_at: pausedAt, held_until: heldUntil }: FedSink, now: number): number {
    const open = state === 'ok' && pausedAt === null && (heldUntil ?? 0) <= now && this.database.time.jump === 0;
    return open ? (this.workers.get(id)?.room() ?? 0) : 0;
  }
}

/** A change without a revision goes to report sinks only; one from an import goes to all others, since reports summarize the import. */
function isOwed(mode: Mode, { event }: RecordedChange): boolean {
  const { revision, source } = event.data;
  return mode === 'report' ? source !== 'import' : revision !== null;
}

const laneKey = (sink: number, channel: number): string => `${sink} ${channel}`;

/**
 * Writes a delivery for each (sink, change) unless it exists. Makes idle lanes of log and state sinks due; report sinks get entries in
 * their refresh queue instead, so that no other sink waits for their locks. Lanes are locked ordered by sink, then by channel.
 * @param leaseOf the lease for a lane if it was idle
 * @returns a function that awaits the lanes that were idle
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
    const key = laneKey(sink.id, change.channel);
    if (sink.mode === 'report' || lanes.has(key)) continue;
    const lease = leaseOf(key);
    lanes.set(key, { sink: sink.id, channel: change.channel, due_at: lease === null ? now : now + leaseMs, lease });
  }
  // Lanes first: their lock ensures that a worker settling now either sees the new deliveries, or has left the lane idle for us to see.
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

/** The work of a leased lane, without loading it. @throws if its row is damaged */
function workOf(lane: LeasedLane, { sink, change }: { sink: FedSink; change: RecordedChange }): LaneWork {
  const { id, origin, position, latest, bytes } = change;
  const event = sink.mode === 'state' ? stateEvent(change.event, latest, readProfile(lane.sent_profile)) : change.event;
  const updatedAt = latest.updatedAt === null ? event.timestamp : readTime(latest.updatedAt);
  const delivery = { id: deliveryId(id, sink.id), event, origin, version: latest.version, updatedAt };
  const lease = { lease: lane.lease!, sinkConfigErrorSeq: sink.config_error_seq, probe: false };
  const { channel, tries: lane_tries, config_error_seq } = lane;
  const row = { ...newDelivery, channel, lane_tries, config_error_seq, change_id: id, position };
  return laneWork(lease, row, delivery, bytes + (lane.sent_profile?.length ?? 0));
}
