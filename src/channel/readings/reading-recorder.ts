import { Injectable } from '@nestjs/common';
import { v7 as uuid } from 'uuid';
import { Database } from '../../database/database.js';
import { faultOf } from '../../database/errors.js';
import type { Trx } from '../../database/tables.js';
import { Enqueuer } from '../../delivery/enqueue.js';
import { SharedClock } from '../../process/clock.js';
import { keyOf } from '../group.js';
import { type ChannelState, type VendorEvent, existsIn } from '../merge.js';
import { type Applied, applyTo, lockChannels, updateChannels } from '../record.js';
import { maxConflictRetries } from '../recorder.js';
import { isDue, noReadMark, sooner } from './to-read.js';

/** A reading of a channel from the vendor, compared with the known state once the channel's row is locked. */
export interface ChannelReading {
  sdkAppId: string;
  channelId: string;
  owner: string | null;
  /** The time as of which the reading is valid (ms). */
  at: number;
  /** When the request was sent, by our clock (ms): marks due by then are settled by this reading. */
  sentAt: number;
  /** @returns the event to record, or `null` and the new state; and when to read the channel again, if at all */
  judge: (known: ChannelState) => { event: VendorEvent | null; state: ChannelState; againAt: number | null };
}

/** How many times in a row a channel is read again because a reading was inconclusive. */
const maxRereads = 3;

/** The transaction has changes to record: it is run again with a synced commit. */
class HasChanges extends Error {}

/** Records readings the way the recorder records webhooks: together with their deliveries, in one transaction. */
@Injectable()
export class ReadingRecorder {
  constructor(
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly enqueuer: Enqueuer,
  ) {}

  /**
   * Runs a transaction in which readings can be recorded; retried after a conflict. Without changes, the commit does not wait for the disk,
   * so that webhooks wait less: after a power cut, the channels can be read again.
   * @param work receives a function that records readings of channels that exist or are known; called again after a conflict
   * @throws the error of the database or of `work`
   */
  async transaction<T>(
    work: (trx: Trx, record: (readings: readonly ChannelReading[]) => Promise<void>) => Promise<T>,
    synced = false,
    conflictsLeft = maxConflictRetries,
  ): Promise<T> {
    let afterCommit = (): Promise<void> => Promise.resolve();
    const whole = (trx: Trx): Promise<T> =>
      work(trx, async readings => {
        if (readings.length > 0) afterCommit = await this.record(trx, readings, synced);
      });
    try {
      const result = await (synced ? this.database.kysely.transaction().execute(whole) : this.database.asyncCommit(whole));
      void afterCommit();
      return result;
    } catch (error) {
      if (error instanceof HasChanges) return this.transaction(work, true, conflictsLeft);
      if (faultOf(error) === 'conflict' && conflictsLeft > 0) return this.transaction(work, synced, conflictsLeft - 1);
      throw error;
    }
  }

  private async record(trx: Trx, readings: readonly ChannelReading[], synced: boolean): Promise<() => Promise<void>> {
    const { database, enqueuer } = this;
    const now = this.clock.now();
    const locked = await lockChannels(database, trx, readings);
    const sinkRows = await enqueuer.sinks(trx);
    const channels = await locked();
    const sinks = await sinkRows();
    const changes: Applied[] = [];
    for (const { sdkAppId, channelId, owner, at, sentAt, judge } of readings) {
      const channel = channels.get(keyOf({ sdkAppId, channelId }))!;
      const source = existsIn(channel.known) === null ? ('import' as const) : ('comparison' as const);
      const { event, state, againAt } = judge(channel.known);
      if (event) {
        const id = uuid({ msecs: now, random: Uint8Array.from({ length: 16 }, () => 256 * this.clock.random()) });
        const origin = { clientIp: null, platform: null, owner };
        const change = { id, sdkAppId, channelId, source, operator: null, origin, eventTimeEstimated: false, receivedAt: now };
        changes.push(applyTo(channel, { ...change, ...event, body: new Uint8Array() }, id));
      } else channel.known = state;
      const again = againAt !== null && channel.read_tries < maxRereads;
      const next = again ? { read_at: againAt, read_cause: 'again', read_tries: channel.read_tries + 1 } : noReadMark;
      const mark = channel.read_at === null || isDue(channel, sentAt) ? next : sooner(channel, next);
      Object.assign(channel, { ...mark, touched: true, verified_at: Math.max(channel.verified_at ?? 0, at) });
    }
    if (changes.length > 0 && !synced) throw new HasChanges();
    await updateChannels(database, trx, [...channels.values()], changes);
    const recorded = changes.map(({ change }) => change);
    return enqueuer.enqueue(trx, sinks, recorded, now);
  }
}
