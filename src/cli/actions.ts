import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { chunks } from '../database/limits.js';
import type { AppDto, ComparisonDto } from '../management/api/comparisons/comparison.dto.js';
import type { ReplayedDto } from '../management/api/deliveries/delivery.dto.js';
import type { RebuildStateDto, VerifyStateDto } from '../management/api/sinks/sink.dto.js';
import { type Api, segment } from './api.js';
import { type Filter, type Options, apiCommand, filters, selectors, withFilters } from './lists.js';
import { plain } from './table.js';
import { CliError, confirm, print, printError, printJson, printRecord, progress } from './terminal.js';

const pollIntervalMs = 500;
/** The command stops waiting after this many polls in a row that find the job held up. */
const maxHeldUpPolls = 20;
const maxIds = 10_000;
const maxApps = 10_000;

type Given = Options & { yes?: true; dryRun?: true; repair?: true; destroy?: true; reason?: string };

const sinkPath = (sink: string, action: string): string => `sinks/${segment(sink)}/${action}`;

const sinkCommands: Readonly<Record<string, string>> = {
  test: 'Send one sample change, marked as a test, to a sink',
  pause: 'Pause a sink on all replicas; its changes are queued',
  resume: 'Resume a paused sink',
  probe: 'Retry a stopped sink at once',
};

/** Filters of a replay; at least one is required. */
const replayFilters: Filter[] = ['sink', 'app', 'channel', 'change', 'state', 'since', 'until'];

export function addActions(program: Command): void {
  for (const [name, summary] of Object.entries(sinkCommands))
    apiCommand(program, `${name} <sink>`, summary, async (api, given: Given, sink: string) => {
      const answer = await api.post<{ outcome?: string; state?: string }>(sinkPath(sink, name));
      if (name === 'test' && answer.outcome !== 'delivered') process.exitCode = 1;
      if (name === 'probe' && answer.state === 'paused') throw new CliError(`${sink} is paused: resume it first`);
      if (given.json) return answer;
      if (name === 'probe' && answer.state === 'ok') print(plain(`${sink} is not stopped: there is nothing to probe.`));
      return answer.outcome === 'retry' ? { ...answer, outcome: 'retry (a change would be sent again later; a test is not)' } : answer;
    });
  const replays = apiCommand(program, 'replay', 'Send deliveries again, with the same ids; parked ones unless --state is given', replay);
  asking(withFilters(replays, replayFilters)).option('--dry-run', 'only count');
  const discards = apiCommand(program, 'discard <id...>', 'Discard parked deliveries by their ids', discard);
  asking(discards).option('--reason <text>', 'why, for the record');
  const verifies = apiCommand(program, 'verify <sink>', 'Compare the index of a search sink with the store', verify);
  asking(verifies).option('--repair', 'send what differs again, and delete what is surplus');
  asking(apiCommand(program, 'rebuild <sink>', 'Rebuild the index of a search sink, then switch to the new one', rebuild));
  const compares = apiCommand(program, 'compare', 'Compare channels with Tencent, and record what differs', compare);
  asking(compares)
    .option('--dry-run', 'record nothing')
    .option(filters.app.flags, 'of this app; may be left out if only one app has a key')
    .option('--channel <ids...>', 'only the channels with these ids')
    .option('--destroy', 'record channels that are gone there as destroyed, however many');
  asking(apiCommand(program, 'import', 'Import channels from Tencent by their ids', importIds))
    .argument('<file>', 'a text with an id in each line; - is standard input')
    .option(filters.app.flags, 'of this app; may be left out if only one app has a key');
}

const asking = (command: Command): Command => command.option('--yes', 'do not ask');

async function replay(api: Api, given: Given): Promise<object> {
  const selection = selectors(given, replayFilters);
  if (Object.keys(selection).length === 0) throw new CliError('say which deliveries: give at least one of the options that select', 2);
  const counts = await api.post<ReplayedDto>('replays', { ...selection, dryRun: true });
  if (given.dryRun && !given.json) {
    const { matched, replayed, skippedAsStale } = counts;
    return { matched, 'would be replayed': replayed, skippedAsStale };
  }
  if (given.dryRun || counts.replayed === 0) return counts;
  await confirm(`${many(counts.replayed, 'delivery', 'deliveries')} will be sent again`, given);
  return api.post('replays', selection);
}

async function discard(api: Api, given: Given, ids: readonly string[]): Promise<void> {
  const unique = [...new Set(ids)];
  const deliveries = many(unique.length, 'delivery', 'deliveries');
  await confirm(`${deliveries} will be discarded: only a replay can still send what is discarded`, given);
  const done: object[] = [];
  for (const id of unique) {
    try {
      done.push(await api.post(`deliveries/${segment(id)}/discard`, { reason: given.reason }));
      if (!given.json) print(plain(`${id} is discarded`));
    } catch (error) {
      // Go on with the others.
      if (!(error instanceof CliError) || error.exitCode === 78) throw error;
      printError(`${id}: ${error.message}`);
      process.exitCode = 1;
    }
  }
  if (given.json) printJson(done);
}

async function verify(api: Api, given: Given, sink: string): Promise<object> {
  const path = sinkPath(sink, 'verify');
  const read = (): Promise<VerifyStateDto> => api.get(path);
  const run = async (repair: boolean): Promise<VerifyStateDto> => {
    await api.post(path, { repair });
    return ended(read, ({ compared }) => `${compared} channels compared`);
  };
  const found = await run(false);
  const [different, surplus] = [found.missing + found.older + found.newer, found.surplus];
  if (!given.repair || found.state === 'failed' || different + surplus === 0) {
    if (different + surplus > 0) process.exitCode = 1;
    return found;
  }
  await confirm(`${many(different, 'document')} will be sent again, and ${many(surplus, 'surplus document')} deleted`, given);
  return run(true);
}

async function rebuild(api: Api, given: Given, sink: string): Promise<object> {
  const path = sinkPath(sink, 'rebuild');
  const read = (): Promise<RebuildStateDto> => api.get(path);
  // Fails before the confirmation if there is no such index.
  await read();
  const channels = (await api.list<AppDto>('apps', {}, maxApps)).reduce((sum, app) => sum + app.channels, 0);
  await confirm(`${many(channels, 'channel')} will be sent to a new index of ${sink}, which then replaces the present one`, given);
  await api.post(path);
  return ended(read, ({ done, total }) => `${done} of ${total} channels sent`);
}

async function compare(api: Api, given: Omit<Given, 'channel'> & { channel?: string[] }): Promise<object> {
  const { channel: channelIds, dryRun, destroy } = given;
  const { sdkAppId, channels } = await appOf(api, given.app);
  const count = many(channelIds?.length ?? channels, 'channel');
  if (!dryRun) await confirm(`${count} will be compared; what differs is recorded and sent to the sinks`, given);
  return compared(api, await api.post<ComparisonDto>('comparisons', { sdkAppId, channelIds, dryRun, destroy }));
}

async function importIds(api: Api, given: Given, file: string): Promise<void> {
  const ids = await idsIn(file);
  const { sdkAppId } = await appOf(api, given.app);
  await confirm(`${many(ids.length, 'id')} will be read from Tencent; channels that exist are recorded and sent to the sinks`, given);
  const done: object[] = [];
  for (const channelIds of chunks(ids, maxIds)) {
    const result = await compared(api, await api.post<ComparisonDto>('imports', { sdkAppId, channelIds }));
    done.push(result);
    if (!given.json) printRecord(result);
  }
  if (given.json) printJson(done);
}

/** The named app, or the only one with a secret key. @throws CliError if there is none or several */
async function appOf(api: Api, named: string | undefined): Promise<AppDto> {
  const apps = await api.list<AppDto>('apps', {}, maxApps);
  const [app, another] = apps.filter(app => (named === undefined ? app.comparisons === 'on' : app.sdkAppId === named));
  if (app && !another) return app;
  const keyed = apps.filter(app => app.comparisons === 'on').map(app => app.sdkAppId);
  throw new CliError(`--app must be one of the apps with a secret key: ${keyed.join(', ') || 'there is none'}`, 2);
}

/** @throws CliError if the file is unreadable or has no ids */
async function idsIn(file: string): Promise<string[]> {
  const bytes = await (file === '-' ? buffer(process.stdin) : readFile(file)).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(`${file} cannot be read (${error.code})`, 2);
  });
  if (!isUtf8(bytes)) throw new CliError(`${file} is not text in UTF-8`, 2);
  // Trimming also removes a byte-order mark.
  const lines = bytes
    .toString()
    .split('\n')
    .map(line => line.trim());
  const ids = lines.filter(line => line !== '');
  if (ids.length === 0) throw new CliError(`${file} has no ids`, 2);
  return ids;
}

function compared(api: Api, { id, sdkAppId }: ComparisonDto): Promise<ComparisonDto> {
  const read = async (): Promise<ComparisonDto> => {
    const comparison = await api.get<ComparisonDto>(`comparisons/${segment(id)}`);
    if (comparison.state !== 'waiting') return comparison;
    // It waits for another comparison of the app, and so for what holds that up.
    return { ...comparison, reason: comparison.reason ?? (await appOf(api, sdkAppId)).reason };
  };
  return ended(read, ({ state, compared, total }) => `${state}: ${compared} of ${total} channels compared`);
}

/** Waits until a job of the service has ended. @throws CliError if it is held up for long, though the service keeps trying */
async function ended<T extends { state: string; error?: string | null; reason?: string | null }>(
  read: () => Promise<T>,
  describe: (job: T) => string,
): Promise<T> {
  for (let heldUp = 0; ;) {
    const job = await read();
    if (job.state === 'failed') process.exitCode = 1;
    if (job.state !== 'running' && job.state !== 'waiting') return job;
    // Jobs of an index have an error, comparisons a reason.
    const obstacle = job.error ?? job.reason;
    heldUp = obstacle ? heldUp + 1 : 0;
    if (heldUp > maxHeldUpPolls) throw new CliError(`${obstacle}. The service keeps trying; this command stops waiting`);
    progress(obstacle ? `${describe(job)}, held up: ${obstacle}` : describe(job));
    await sleep(pollIntervalMs);
  }
}

function many(count: number, singular: string, plural = `${singular}s`): string {
  return `${count} ${count === 1 ? singular : plural}`;
}
