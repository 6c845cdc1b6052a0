import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { AppDto, ComparisonDto } from '../management/api/comparisons/comparison.dto.js';
import type { ReplayedDto } from '../management/api/deliveries/delivery.dto.js';
import type { RebuildStateDto, VerifyStateDto } from '../management/api/sinks/sink.dto.js';
import { Api, segment } from './api.js';
import { Fault } from './fault.js';
import { type Called, type Filter, type Options, apiCommand, filters, selectors } from './lists.js';
import { plain } from './table.js';
import { agree, complain, print, printJson, printRecord, progress } from './terminal.js';

const pollIntervalMs = 500;
/** The command stops waiting after this many polls in a row that find the job held up. */
const maxHeldUpPolls = 20;
/** Maximum ids per request of the API. */
const maxIds = 10_000;
const maxApps = 10_000;

type Given = Options & { yes?: true; dryRun?: true; repair?: true; destroy?: true; reason?: string };

const show = (given: Called, answer: object): void => (given.json ? printJson(answer) : printRecord(answer));
const sinkPath = (sink: string, action: string): string => `sinks/${segment(sink)}/${action}`;

/** Commands that call an action of one sink. */
const sinkCommands: Readonly<Record<string, string>> = {
  test: 'Send one sample change, marked as a test, to a sink',
  pause: 'Pause a sink on all replicas; its changes are queued',
  resume: 'Resume a paused sink',
  probe: 'Retry a stopped sink at once',
};

export function addActions(program: Command): void {
  for (const [name, summary] of Object.entries(sinkCommands)) {
    apiCommand(program, name, summary)
      .argument('<sink>', 'its name')
      .action(async (sink: string, given: Given) => {
        const answer = await (await Api.at(given.url)).post<{ outcome?: string }>(sinkPath(sink, name));
        show(given, answer);
        if (name === 'test' && answer.outcome !== 'delivered') process.exitCode = 1;
      });
  }
  const replays = apiCommand(program, 'replay', 'Send deliveries again, with the same ids; parked ones unless --state is given');
  const selecting: Filter[] = ['sink', 'app', 'channel', 'change', 'state', 'since', 'until'];
  for (const name of selecting) replays.option(filters[name].flags, filters[name].what);
  dry(replays, 'only count').action((given: Given) => replay(selectors(given, selecting), given));
  asking(apiCommand(program, 'discard', 'Discard parked deliveries'))
    .argument('<id...>', 'ids of deliveries')
    .option('--reason <text>', 'why, for the record')
    .action(discard);
  asking(apiCommand(program, 'verify', 'Compare the index of a search sink with the store'))
    .argument('<sink>', 'its name')
    .option('--repair', 'send what differs again, and delete what is surplus')
    .action(verify);
  asking(apiCommand(program, 'rebuild', 'Rebuild the index of a search sink, then switch to the new one'))
    .argument('<sink>', 'its name')
    .action(rebuild);
  dry(apiCommand(program, 'compare', 'Compare channels with Tencent, and record what differs'), 'record nothing')
    .option(filters.app.flags, 'of this app; may be left out if only one app has a key')
    .option('--channel <ids...>', 'only the channels with these ids')
    .option('--destroy', 'record channels that are gone there as destroyed, however many')
    .action(compare);
  asking(apiCommand(program, 'import', 'Import channels from Tencent by their ids'))
    .argument('<file>', 'a text with an id in each line; - is standard input')
    .option(filters.app.flags, 'of this app; may be left out if only one app has a key')
    .action(importIds);
}

const asking = (command: Command): Command => command.option('--yes', 'do not ask');
const dry = (command: Command, what: string): Command => asking(command).option('--dry-run', what);

async function replay(selection: Readonly<Record<string, string>>, given: Given): Promise<void> {
  if (Object.keys(selection).length === 0) throw new Fault('say which deliveries: give at least one of the options that select', 2);
  const api = await Api.at(given.url);
  const counts = await api.post<ReplayedDto>('replays', { ...selection, dryRun: true });
  if (given.dryRun || counts.replayed === 0) return show(given, counts);
  await agree(`${many(counts.replayed, 'delivery', 'deliveries')} will be sent again`, given);
  show(given, await api.post<ReplayedDto>('replays', selection));
}

async function discard(ids: readonly string[], given: Given): Promise<void> {
  const api = await Api.at(given.url);
  const unique = [...new Set(ids)];
  await agree(`${many(unique.length, 'delivery', 'deliveries')} will be discarded: only a replay can still send them`, given);
  const done: object[] = [];
  for (const id of unique) {
    try {
      done.push(await api.post(`deliveries/${segment(id)}/discard`, { reason: given.reason }));
      if (!given.json) print(plain(`${id} is discarded`));
    } catch (error) {
      // Go on with the others.
      if (!(error instanceof Fault) || error.exitCode === 78) throw error;
      complain(`${id}: ${error.message}`);
      process.exitCode = 1;
    }
  }
  if (given.json) printJson(done);
}

async function verify(sink: string, given: Given): Promise<void> {
  const api = await Api.at(given.url);
  const run = async (repair: boolean): Promise<VerifyStateDto> => {
    await api.post(sinkPath(sink, 'verify'), { repair });
    return ended(
      () => api.get<VerifyStateDto>(sinkPath(sink, 'verify')),
      ({ compared }) => `${compared} channels compared`,
    );
  };
  const found = await run(false);
  const [different, surplus] = [found.missing + found.older + found.newer, found.surplus];
  if (!given.repair || found.state === 'failed' || different + surplus === 0) {
    show(given, found);
    if (different + surplus > 0) process.exitCode = 1;
    return;
  }
  await agree(`${many(different, 'document')} will be sent again, and ${many(surplus, 'surplus document')} deleted`, given);
  show(given, await run(true));
}

async function rebuild(sink: string, given: Given): Promise<void> {
  const api = await Api.at(given.url);
  // Fails before the confirmation if there is no such index.
  await api.get(sinkPath(sink, 'rebuild'));
  const channels = (await api.list<AppDto>('apps', {}, maxApps)).reduce((sum, app) => sum + app.channels, 0);
  await agree(`${many(channels, 'channel')} will be sent to a new index of ${sink}, which then replaces the present one`, given);
  await api.post(sinkPath(sink, 'rebuild'));
  const read = (): Promise<RebuildStateDto> => api.get(sinkPath(sink, 'rebuild'));
  show(given, await ended(read, ({ done, total }) => `${done} of ${total} channels sent`));
}

async function compare(given: Omit<Given, 'channel'> & { channel?: string[] }): Promise<void> {
  const api = await Api.at(given.url);
  const { channel: channelIds, dryRun, destroy } = given;
  const { sdkAppId, channels } = await appOf(api, given.app);
  const count = many(channelIds?.length ?? channels, 'channel');
  if (!dryRun) await agree(`${count} will be compared; what differs is recorded and sent to the sinks`, given);
  show(given, await compared(api, await api.post<ComparisonDto>('comparisons', { sdkAppId, channelIds, dryRun, destroy })));
}

async function importIds(file: string, given: Given): Promise<void> {
  const ids = await idsIn(file);
  const api = await Api.at(given.url);
  const { sdkAppId } = await appOf(api, given.app);
  await agree(`${many(ids.length, 'id')} will be read at the vendor; channels that exist are recorded and sent to the sinks`, given);
  const done: object[] = [];
  for (let first = 0; first < ids.length; first += maxIds) {
    const channelIds = ids.slice(first, first + maxIds);
    const result = await compared(api, await api.post<ComparisonDto>('imports', { sdkAppId, channelIds }));
    done.push(result);
    if (!given.json) printRecord(result);
  }
  if (given.json) printJson(done);
}

/** The named app, or the only one with a secret key. @throws Fault if there is none or several */
async function appOf(api: Api, named: string | undefined): Promise<AppDto> {
  const apps = await api.list<AppDto>('apps', {}, maxApps);
  const [app, another] = apps.filter(app => (named === undefined ? app.comparisons === 'on' : app.sdkAppId === named));
  if (app && !another) return app;
  const keyed = apps.filter(app => app.comparisons === 'on').map(app => app.sdkAppId);
  throw new Fault(`--app must be one of the apps with a secret key: ${keyed.join(', ') || 'there is none'}`, 2);
}

/** @throws Fault if the file is unreadable or has no ids */
async function idsIn(file: string): Promise<string[]> {
  const bytes = await (file === '-' ? buffer(process.stdin) : readFile(file)).catch((error: NodeJS.ErrnoException) => {
    throw new Fault(`${file} cannot be read (${error.code})`, 2);
  });
  if (!isUtf8(bytes)) throw new Fault(`${file} is not text in UTF-8`, 2);
  const lines = bytes
    .toString()
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '');
  if (lines.length === 0) throw new Fault(`${file} has no ids`, 2);
  return lines;
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

/** Waits until a job of the service has ended. @throws Fault if it is held up for long, though the service keeps trying */
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
    if (heldUp > maxHeldUpPolls) throw new Fault(`${obstacle}. The service keeps trying; this command stops waiting`);
    progress(obstacle ? `${describe(job)}, held up: ${obstacle}` : describe(job));
    await sleep(pollIntervalMs);
  }
}

function many(count: number, singular: string, plural = `${singular}s`): string {
  return `${count} ${count === 1 ? singular : plural}`;
}
