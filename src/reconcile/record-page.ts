import type { ChannelReading, ReadingRecorder } from '../channel/readings/reading-recorder.js';
import { readingDelayMs } from '../channel/readings/to-read.js';
import { type ChannelState, emptyState, existsIn, profileOf } from '../channel/merge.js';
import { diff } from '../channel/profile.js';
import { faultOf } from '../database/errors.js';
import type { Database } from '../database/database.js';
import type { Trx } from '../database/tables.js';
import type { SharedClock } from '../process/clock.js';
import type { EngineEvents } from '../process/engine-events.js';
import type { Log } from '../process/log.js';
import type { DeclaredApp } from '../settings/declared-apps.js';
import type { AppLease } from './app-lease.js';
import { type Outcome, remark } from './comparison.js';
import type { Reading } from './vendor/reader.js';
import { judge } from './rule.js';
import { type VendorApi, lagMs } from './vendor/api.js';

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
  dryRun: boolean;
}

/** Called in the transaction that records the outcomes, again after a conflict; what it returns is called once that is committed. */
type WithOutcomes = (trx: Trx, outcomes: readonly Outcome[]) => Promise<(() => void) | undefined>;

/** An inconclusive reading is repeated only if it becomes due within this time; a later one results from a wrong clock. */
const maxRereadDelayMs = 60_000;

/** Records readings and their outcomes in one transaction; if one of them cannot be recorded, each in its own transaction. */
export async function recordReadings(
  context: AppContext,
  readings: ReadonlyMap<string, Reading>,
  options: Options,
  withOutcomes: WithOutcomes,
): Promise<void> {
  try {
    await recordAll(context, readings, options, withOutcomes);
  } catch (error) {
    const fault = faultOf(error);
    if (fault !== 'data' && fault !== 'bug') throw error;
    for (const [id, reading] of readings) {
      const failed = { kind: 'failed', at: reading.at, behindMs: reading.behindMs, why: ['channel_damaged'] } as const;
      if (readings.size > 1) await recordReadings(context, new Map([[id, reading]]), options, withOutcomes);
      else await recordAll(context, new Map([[id, failed]]), options, withOutcomes);
    }
  }
}

async function recordAll(
  { app, clock, database, events, log, recorder, lease }: AppContext,
  readings: ReadonlyMap<string, Reading>,
  { confirmed, dryRun }: Options,
  withOutcomes: WithOutcomes,
): Promise<void> {
  const { sdkAppId } = app;
  const { outcomes, recovered, afterCommit } = await recorder.transaction(async (trx, record) => {
    const row = await lease.fence(trx);
    await lease.succeeded(trx, row);
    const channels = trx.selectFrom('channel').select(['channel_id', 'state']).where('sdk_app_id', '=', sdkAppId);
    const asked = [...readings.keys()].filter(id => dryRun || readings.get(id)!.kind === 'gone');
    const rows = asked.length === 0 ? [] : await channels.where(database.isAmong('channel_id', asked)).execute();
    const known = new Map(rows.map(({ channel_id: id, state }) => [id, state]));
    const outcomes: Outcome[] = [];
    const toRecord: ChannelReading[] = [];
    for (const [channelId, reading] of readings) {
      if (reading.kind === 'failed') {
        outcomes.push({ channelId, result: 'failed', examples: [remark(channelId, reading.why)] });
      } else if (reading.kind === 'gone' && !known.has(channelId)) {
        outcomes.push({ channelId, result: 'equal' });
      } else {
        const judgeStored = (state: ChannelState): ReturnType<ChannelReading['judge']> => {
          const { outcome, ...judgement } = compare(channelId, reading, state, confirmed, clock.now());
          outcomes.push(outcome);
          return judgement;
        };
        const owner = reading.kind === 'found' ? reading.owner : null;
        const sentAt = reading.at + lagMs + reading.behindMs;
        if (dryRun) judgeStored(JSON.parse(known.get(channelId) ?? JSON.stringify(emptyState)) as ChannelState);
        else toRecord.push({ sdkAppId, channelId, owner, at: reading.at, sentAt, judge: judgeStored });
      }
    }
    await record(toRecord);
    return { outcomes, recovered: row.state !== 'ok', afterCommit: await withOutcomes(trx, outcomes) };
  });
  afterCommit?.();
  if (recovered) log.info("Tencent's API works again", { app: sdkAppId });
  for (const [result, group] of Map.groupBy(dryRun ? [] : outcomes, outcome => outcome.result))
    if (result !== 'gone') events.emit('compared', sdkAppId, result, group.length);
}

function compare(
  channelId: string,
  reading: Exclude<Reading, { kind: 'failed' }>,
  known: ChannelState,
  confirmed: boolean,
  now: number,
): ReturnType<ChannelReading['judge']> & { outcome: Outcome } {
  const { event, state, hiddenBy } = judge(known, reading.kind === 'found' ? reading.fields : null, reading.at);
  const due = hiddenBy === null ? null : hiddenBy + readingDelayMs + reading.behindMs;
  const againAt = due !== null && due - now <= maxRereadDelayMs ? due : null;
  if (!event) return { event, state, againAt, outcome: { channelId, result: 'equal' } };
  if (reading.kind === 'gone') {
    const examples = [remark(channelId, ['channel_gone'])];
    if (confirmed) return { event, state, againAt, outcome: { channelId, result: 'destroyed', examples } };
    return { event: null, state: known, againAt, outcome: { channelId, result: 'gone', examples } };
  }
  const existed = existsIn(known);
  if (existed === null) return { event, state, againAt, outcome: { channelId, result: 'imported' } };
  const examples = existed ? [] : [remark(channelId, ['channel_back'])];
  for (const { field, from, to } of diff(profileOf(known), profileOf(state)))
    examples.push({ channelId, field, ours: from, theirs: to, reason: null });
  return { event, state, againAt, outcome: { channelId, result: 'corrected', examples } };
}
