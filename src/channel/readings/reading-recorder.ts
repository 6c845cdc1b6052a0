import { Injectable } from '@nestjs/common';
import { v7 as uuid } from 'uuid';
import { Database } from '../../database/database.js';
import { faultOf } from '../../database/errors.js';
import type { Trx } from '../../database/tables.js';
import { Enqueuer } from '../../delivery/enqueue.js';
import { SharedClock } from '../../process/clock.js';
import { keyOf } from '../group.js';
import { type ChannelState, type Told, existsIn } from '../merge.js';
import { type Applied, applyTo, lockChannels, updateChannels } from '../record.js';
import { conflictsBorne } from '../recorder.js';
import { isDue, notToRead, sooner } from './to-read.js';

/** What was read of a channel, which is judged by what is known once its row is locked. */
export interface ChannelReading {
  sdkAppId: string;
  channelId: string;
  owner: string | null;
  /** As of when it holds, and when it was asked for by our clock: what was marked to be read by then has been read. Milliseconds. */
  at: number;
  sentAt: number;
  /** @returns what is to be recorded, what is known where that is `null`, and when it is to be read again */
  judge: (known: ChannelState) => { told: Told | null; state: ChannelState; againAt: number | null };
}

/** How often in a row a channel is read again because a reading could not judge it. */
const readAgainMost = 3;

/** Records what was read of channels, as the recorder does webhooks: with what every sink must still get, in one transaction. */
@Injectable()
export class ReadingRecorder {
  constructor(
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly enqueuer: Enqueuer,
  ) {}

  /**
   * A transaction that records readings beside what else it does; done anew if it loses against another one.
   * @param work is given what records readings of channels that exist or are known
   * @throws whatever the database says, and what the work throws
   */
  async transaction<T>(
    work: (trx: Trx, record: (readings: readonly ChannelReading[]) => Promise<void>) => Promise<T>,
    conflictsLeft = conflictsBorne,
  ): Promise<T> {
    let afterCommit = (): Promise<void> => Promise.resolve();
    try {
      const result = await this.database.kysely.transaction().execute(trx =>
        work(trx, async readings => {
          if (readings.length > 0) afterCommit = await this.record(trx, readings);
        }),
      );
      void afterCommit();
      return result;
    } catch (error) {
      if (faultOf(error) === 'conflict' && conflictsLeft > 0) return this.transaction(work, conflictsLeft - 1);
      throw error;
    }
  }

  private async record(trx: Trx, readings: readonly ChannelReading[]): Promise<() => Promise<void>> {
    const { database, enqueuer } = this;
    const now = this.clock.now();
    const locked = await lockChannels(database, trx, readings);
    const asked = await enqueuer.sinks(trx);
    const channels = await locked();
    const fed = await asked();
    const changes: Applied[] = [];
    for (const { sdkAppId, channelId, owner, at, sentAt, judge } of readings) {
      const channel = channels.get(keyOf({ sdkAppId, channelId }))!;
      const source = existsIn(channel.known) === null ? ('import' as const) : ('comparison' as const);
      const { told, state, againAt } = judge(channel.known);
      if (told) {
        const id = uuid({ msecs: now, random: Uint8Array.from({ length: 16 }, () => 256 * this.clock.random()) });
        const origin = { clientIp: null, platform: null, owner };
        const change = { id, sdkAppId, channelId, source, operator: null, origin, eventTimeEstimated: false, receivedAt: now };
        changes.push(applyTo(channel, { ...change, ...told, body: new Uint8Array() }, id));
      } else channel.known = state;
      const again = againAt !== null && channel.read_tries < readAgainMost;
      const next = again ? { read_at: againAt, read_cause: 'again', read_tries: channel.read_tries + 1 } : notToRead;
      const mark = channel.read_at === null || isDue(channel, sentAt) ? next : sooner(channel, next);
      Object.assign(channel, { ...mark, touched: true, verified_at: Math.max(channel.verified_at ?? 0, at) });
    }
    await updateChannels(database, trx, [...channels.values()], changes);
    const recorded = changes.map(({ change }) => change);
    return enqueuer.enqueue(trx, fed, recorded, now);
  }
}
