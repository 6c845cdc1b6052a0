import type { ChannelReading, ReadingRecorder } from '../channel/readings/reading-recorder.js';
import { readingDelayMs } from '../channel/readings/to-read.js';
import { type ChannelState, emptyState, existsIn, profileOf } from '../channel/merge.js';
import { diff } from '../channel/profile.js';
import { faultOf } from '../database/errors.js';
import { stored } from '../explanations/explanation.js';
import type { Database } from '../database/database.js';
import type { Trx } from '../database/tables.js';
import type { SharedClock } from '../process/clock.js';
import type { EngineEvents } from '../process/engine-events.js';
import type { Log } from '../process/log.js';
import type { DeclaredApp } from '../settings/declared-apps.js';
import type { AppTurn } from './apps.js';
import type { Outcome } from './comparison.js';
import type { Reading } from './vendor/reader.js';
import { judge as ruled } from './rule.js';
import { type VendorApi, lagMs } from './vendor/api.js';

/** What reading an app's channels takes. */
export interface Reach {
  app: DeclaredApp;
  api: VendorApi;
  turn: AppTurn;
  database: Database;
  recorder: ReadingRecorder;
  clock: SharedClock;
  events: EngineEvents;
  log: Log;
}

/** `confirmed`: what is gone is recorded as destroyed; `dryRun`: nothing is recorded. */
interface Rules {
  confirmed: boolean;
  dryRun: boolean;
}

/** Writes what else there is to write with outcomes, in their transaction; may be called again. */
type Also = (trx: Trx, outcomes: readonly Outcome[]) => Promise<void>;

/** A reading that cannot judge is tried again if that is so soon: what is further ahead was told by a clock that is wrong. */
const againWithinMs = 60_000;

const nothing = { ours: null, theirs: null, field: null };

/** Records pages of readings of an app's channels. */
export class PageRecorder {
  constructor(private readonly reach: Reach) {}

  /** Records readings and what comes of them in one transaction; where one of them cannot be recorded, each in a transaction of its own. */
  async record(readings: ReadonlyMap<string, Reading>, rules: Rules, also: Also): Promise<void> {
    try {
      await this.recordAll(readings, rules, also);
    } catch (error) {
      const fault = faultOf(error);
      if (fault !== 'data' && fault !== 'bug') throw error;
      if (readings.size > 1) {
        for (const one of readings) await this.record(new Map([one]), rules, also);
        return;
      }
      const [[id, { at, behindMs }]] = [...readings] as [[string, Reading]];
      const failed = { kind: 'failed', at, behindMs, why: ['channel_damaged'] } as const;
      await this.recordAll(new Map([[id, failed]]), rules, also);
    }
  }

  private async recordAll(readings: ReadonlyMap<string, Reading>, { confirmed, dryRun }: Rules, also: Also): Promise<void> {
    const { app, events, log, recorder, turn } = this.reach;
    const { outcomes, recovered } = await recorder.transaction(async (trx, record) => {
      const row = await turn.fence(trx);
      await turn.succeeded(trx, row);
      const known = await this.known(trx, [...readings.keys()]);
      const outcomes: Outcome[] = [];
      const toRecord: ChannelReading[] = [];
      for (const [channelId, reading] of readings) {
        if (reading.kind === 'failed') {
          outcomes.push({ channelId, result: 'failed', examples: [{ ...nothing, channelId, reason: stored(reading.why) }] });
        } else if (reading.kind === 'gone' && !known.has(channelId)) {
          outcomes.push({ channelId, result: 'equal', examples: [] });
        } else {
          const judge = (state: ChannelState) => this.judge(channelId, reading, state, confirmed, outcomes);
          const owner = reading.kind === 'found' ? reading.owner : null;
          const sentAt = reading.at + lagMs + reading.behindMs;
          if (dryRun) judge(JSON.parse(known.get(channelId) ?? JSON.stringify(emptyState)) as ChannelState);
          else toRecord.push({ sdkAppId: app.sdkAppId, channelId, owner, at: reading.at, sentAt, judge });
        }
      }
      await record(toRecord);
      await also(trx, outcomes);
      return { outcomes, recovered: row.state !== 'ok' };
    });
    if (recovered) log.info("Tencent's API works again", { app: app.sdkAppId });
    for (const [result, some] of Map.groupBy(dryRun ? [] : outcomes, one => one.result))
      if (result !== 'gone') events.emit('compared', app.sdkAppId, result, some.length);
  }

  private async known(trx: Trx, ids: readonly string[]): Promise<Map<string, string>> {
    const rows = await trx
      .selectFrom('channel')
      .select(['channel_id', 'state'])
      .where('sdk_app_id', '=', this.reach.app.sdkAppId)
      .where(this.reach.database.isAmong('channel_id', ids))
      .execute();
    return new Map(rows.map(row => [row.channel_id, row.state]));
  }

  /** Judges one reading by what is known, and adds what becomes of it. */
  private judge(
    channelId: string,
    reading: Exclude<Reading, { kind: 'failed' }>,
    known: ChannelState,
    confirmed: boolean,
    outcomes: Outcome[],
  ): ReturnType<ChannelReading['judge']> {
    const found = reading.kind === 'found';
    const { event, state, hiddenBy } = ruled(known, found ? reading.fields : null, reading.at);
    const due = hiddenBy === null ? null : hiddenBy + readingDelayMs + reading.behindMs;
    const againAt = due !== null && due - this.reach.clock.now() <= againWithinMs ? due : null;
    if (!event) {
      outcomes.push({ channelId, result: 'equal', examples: [] });
      return { event, state, againAt };
    }
    if (!found) {
      const examples = [{ ...nothing, channelId, reason: stored(['channel_gone']) }];
      outcomes.push({ channelId, result: confirmed ? 'destroyed' : 'gone', examples });
      return { event: confirmed ? event : null, state: known, againAt };
    }
    const existed = existsIn(known);
    const fields = diff(profileOf(known), profileOf(state)).map(({ field, from, to }) => {
      return { channelId, field, ours: from, theirs: to, reason: null };
    });
    const back = existed === false ? [{ ...nothing, channelId, reason: stored(['channel_back']) }] : [];
    outcomes.push({
      channelId,
      result: existed === null ? 'imported' : 'corrected',
      examples: existed === null ? [] : [...back, ...fields],
    });
    return { event, state, againAt };
  }
}
