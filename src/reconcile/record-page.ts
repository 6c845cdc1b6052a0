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
import type { AppLease } from './app-lease.js';
import type { Outcome } from './comparison.js';
import type { Reading } from './vendor/reader.js';
import { judge as judgeReading } from './rule.js';
import { type VendorApi, lagMs } from './vendor/api.js';

/** The dependencies for reading the channels of an app. */
export interface AppContext {
  app: DeclaredApp;
  api: VendorApi;
  lease: AppLease;
  database: Database;
  recorder: ReadingRecorder;
  clock: SharedClock;
  events: EngineEvents;
  log: Log;
}

interface Options {
  /** Record missing channels as destroyed. */
  confirmed: boolean;
  /** Record nothing. */
  dryRun: boolean;
}

/**
 * Called in the transaction that records the outcomes, to write further rows; may be called again after a conflict.
 * @returns called once it is committed
 */
type WithOutcomes = (trx: Trx, outcomes: readonly Outcome[]) => Promise<(() => void) | undefined>;

/** An inconclusive reading is repeated only if it becomes due within this time; a later one results from a wrong clock. */
const maxRereadDelayMs = 60_000;

const nothing = { ours: null, theirs: null, field: null };

/** Records pages of readings of an app's channels. */
export class PageRecorder {
  constructor(private readonly context: AppContext) {}

  /** Records readings and their outcomes in one transaction; if one of them cannot be recorded, each in its own transaction. */
  async record(readings: ReadonlyMap<string, Reading>, options: Options, withOutcomes: WithOutcomes): Promise<void> {
    try {
      await this.recordAll(readings, options, withOutcomes);
    } catch (error) {
      const fault = faultOf(error);
      if (fault !== 'data' && fault !== 'bug') throw error;
      if (readings.size > 1) {
        for (const entry of readings) await this.record(new Map([entry]), options, withOutcomes);
        return;
      }
      const [[id, { at, behindMs }]] = [...readings] as [[string, Reading]];
      const failed = { kind: 'failed', at, behindMs, why: ['channel_damaged'] } as const;
      await this.recordAll(new Map([[id, failed]]), options, withOutcomes);
    }
  }

  private async recordAll(
    readings: ReadonlyMap<string, Reading>,
    { confirmed, dryRun }: Options,
    withOutcomes: WithOutcomes,
  ): Promise<void> {
    const { app, events, log, recorder, lease } = this.context;
    const { outcomes, recovered, afterCommit } = await recorder.transaction(async (trx, record) => {
      const row = await lease.fence(trx);
      await lease.succeeded(trx, row);
      const isKnownNeeded = dryRun || [...readings.values()].some(({ kind }) => kind === 'gone');
      const known = isKnownNeeded ? await this.known(trx, [...readings.keys()]) : new Map<string, string>();
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
      return { outcomes, recovered: row.state !== 'ok', afterCommit: await withOutcomes(trx, outcomes) };
    });
    afterCommit?.();
    if (recovered) log.info("Tencent's API works again", { app: app.sdkAppId });
    for (const [result, group] of Map.groupBy(dryRun ? [] : outcomes, outcome => outcome.result))
      if (result !== 'gone') events.emit('compared', app.sdkAppId, result, group.length);
  }

  private async known(trx: Trx, ids: readonly string[]): Promise<Map<string, string>> {
    const rows = await trx
      .selectFrom('channel')
      .select(['channel_id', 'state'])
      .where('sdk_app_id', '=', this.context.app.sdkAppId)
      .where(this.context.database.isAmong('channel_id', ids))
      .execute();
    return new Map(rows.map(row => [row.channel_id, row.state]));
  }

  /** Compares a reading with the known state and adds the outcome to `outcomes`. */
  private judge(
    channelId: string,
    reading: Exclude<Reading, { kind: 'failed' }>,
    known: ChannelState,
    confirmed: boolean,
    outcomes: Outcome[],
  ): ReturnType<ChannelReading['judge']> {
    const found = reading.kind === 'found';
    const { event, state, hiddenBy } = judgeReading(known, found ? reading.fields : null, reading.at);
    const due = hiddenBy === null ? null : hiddenBy + readingDelayMs + reading.behindMs;
    const againAt = due !== null && due - this.context.clock.now() <= maxRereadDelayMs ? due : null;
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
