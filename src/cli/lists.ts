import type { Command } from 'commander';
import { Api, segment } from './api.js';
import { CliError, print, printJson, printRecord, printTable } from './terminal.js';

/** Filters of the API by their command-line options. */
export const filters = {
  sink: { flags: '--sink <name>', field: 'sink', what: 'only of this sink' },
  app: { flags: '--app <id>', field: 'sdkAppId', what: 'only of this app' },
  channel: { flags: '--channel <id>', field: 'channelId', what: 'only of the channel with this id' },
  change: { flags: '--change <id>', field: 'changeId', what: 'only of this change' },
  state: { flags: '--state <state>', field: 'state', what: 'only in this state' },
  source: { flags: '--source <source>', field: 'source', what: 'only from webhook, comparison or import' },
  query: { flags: '--query <text>', field: 'query', what: 'only with this text in the name or id' },
  exists: { flags: '--exists <true or false>', field: 'exists', what: 'only channels that exist, or do not' },
  since: { flags: '--since <time>', field: 'since', what: 'only what arrived at this time or later (ISO 8601; UTC without a zone)' },
  until: { flags: '--until <time>', field: 'until', what: 'only what arrived before this time' },
} as const;
export type Filter = keyof typeof filters;
/** Options of the commands that call the service. */
export type Options = { url: string; json?: true; limit?: string } & { [name in Filter]?: string };

const maxSinks = 10_000;

interface List {
  name: string;
  summary: string;
  filters: readonly Filter[];
  /** The columns of its table: paths of fields. */
  columns: string;
  /** Shown instead of the list if the first filter of `by` is given, which requires the others: a single object, or one of its fields. */
  single?: { by: readonly Filter[]; path: (...given: string[]) => string; part?: string };
}

/** Every list of the API, by the last part of its path. */
export const lists: readonly List[] = [
  {
    name: 'sinks',
    summary: 'List the sinks with their states and delivery counts',
    filters: [],
    columns: 'name type mode state since lagSeconds counts.pending counts.parked counts.delivered reason advice',
  },
  {
    name: 'channels',
    summary: 'List the channels; with --app and --channel show one in full',
    filters: ['app', 'channel', 'query', 'exists'],
    columns: 'sdkAppId channelId exists revision failed updatedAt verifiedAt name',
    single: { by: ['channel', 'app'], path: (channel, app) => `channels/${app}/${channel}` },
  },
  {
    name: 'changes',
    summary: 'List the changes, the latest first; with --change show one in full',
    filters: ['app', 'channel', 'change', 'source', 'since', 'until'],
    columns: 'id receivedAt sdkAppId channelId type revision source operator changes',
    single: { by: ['change'], path: id => `changes/${id}` },
  },
  {
    name: 'deliveries',
    summary: 'List deliveries; --state is pending, delivered, superseded, parked or discarded',
    filters: ['sink', 'app', 'channel', 'change', 'state', 'since', 'until'],
    columns: 'id sink state sdkAppId channelId revision tries nextAttemptAt updatedAt reason advice',
    single: { by: ['change'], path: id => `changes/${id}`, part: 'deliveries' },
  },
  {
    name: 'audit',
    summary: 'List who did what, the latest first',
    filters: ['since', 'until'],
    columns: 'at actor action changeId details',
  },
  {
    name: 'apps',
    summary: 'List the apps and the state of their comparisons with Tencent',
    filters: [],
    columns: 'sdkAppId comparisons state channels lastWebhookAt lastComparisonAt reason advice',
  },
  {
    name: 'comparisons',
    summary: 'List the comparisons with Tencent, the latest first',
    filters: ['app'],
    columns: 'id sdkAppId cause state dryRun startedAt finishedAt total compared corrected destroyed imported failed reason',
  },
];

/** The query parameters for the given options. */
export function selectors(given: Options, allowed: readonly Filter[]): Record<string, string> {
  return Object.fromEntries(allowed.flatMap(name => (given[name] === undefined ? [] : [[filters[name].field, given[name]]])));
}

function limitOf(text: string): number {
  if (!/^\d{1,7}$/.test(text) || Number(text) === 0) throw new CliError('--limit must be a whole number from 1 to 9999999', 2);
  return Number(text);
}

/** A command, listed by its summary. @param name with its argument */
export function commandOf(program: Command, name: string, summary: string): Command {
  return program.command(name).summary(summary).description(`${summary}.`);
}

/** A command that calls a running service. @param name with its argument, which `run` is given; what that returns is printed */
export function apiCommand<Given extends object, Argument>(
  program: Command,
  name: string,
  summary: string,
  run: (api: Api, given: Given, argument: Argument) => Promise<object | void>,
): Command {
  const command = commandOf(program, name, summary)
    .option('--url <url>', 'the management port of the service', 'http://127.0.0.1:3001')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nNeeds the MANAGEMENT_TOKEN of the service. Of the settings only that is read: for another MANAGEMENT_PORT give --url.',
    );
  return command.action(async () => {
    const { url, json } = command.opts<Options>();
    const result = await run(new Api(url), command.opts<Given>(), command.processedArgs[0] as Argument);
    if (result) (json ? printJson : printRecord)(result);
  });
}

export function withFilters(command: Command, names: readonly Filter[]): Command {
  for (const name of names) command.option(filters[name].flags, filters[name].what);
  return command;
}

export function addLists(program: Command): void {
  apiCommand(program, 'status', 'Show whether webhooks can be recorded, and the state of sinks and apps', status);
  for (const list of lists) {
    const command = apiCommand(program, list.name, list.summary, (api, given: Options) => show(list, api, given));
    withFilters(command, list.filters).option('--limit <number>', 'how many at most', '50');
  }
}

async function show({ name, columns, single, ...list }: List, api: Api, given: Options): Promise<object | void> {
  const limit = limitOf(given.limit!);
  const path = single && pathOf(single, list.filters, given);
  const found = path ? await api.get<Record<string, object>>(path) : null;
  const shown = found ? (single!.part ? found[single!.part]! : found) : await api.list(name, selectors(given, list.filters), limit);
  // Nothing is listed of a misspelled sink either.
  if (given.sink !== undefined && Array.isArray(shown) && shown.length === 0) {
    const sinks = await api.list<{ name: string }>('sinks', {}, maxSinks);
    if (!sinks.some(sink => sink.name === given.sink)) throw new CliError('no sink has this name');
  }
  if (given.json || !Array.isArray(shown)) return shown;
  printTable(shown as object[], columns);
}

/** The path of the single object; `null` if the list is requested. @throws CliError if the options do not fit together */
function pathOf({ by, path }: NonNullable<List['single']>, all: readonly Filter[], given: Options): string | null {
  if (given[by[0]!] === undefined) return null;
  const missing = by.filter(name => given[name] === undefined);
  const other = all.filter(name => given[name] !== undefined && !by.includes(name));
  const names = (options: readonly string[]): string => options.map(name => `--${name}`).join(', ');
  if (missing.length > 0) throw new CliError(`--${by[0]} needs ${names(missing)}`, 2);
  if (other.length > 0) throw new CliError(`${names(by)} shows one ${by[0]}: leave out ${names(other)}`, 2);
  return path(...by.map(name => segment(given[name]!)));
}

async function status(api: Api, given: Options): Promise<object | void> {
  const { status: state, reason } = await api.ready();
  const [sinks, apps] = await Promise.all([api.list('sinks', {}, maxSinks), api.list('apps', {}, 10_000)]);
  if (state !== 'ready') process.exitCode = 1;
  if (given.json) return { state, reason, sinks, apps };
  printRecord({ service: state, ...(reason !== null && { reason }) });
  for (const [name, items] of Object.entries({ sinks, apps })) {
    print('');
    printTable(items, lists.find(list => list.name === name)!.columns);
  }
}
