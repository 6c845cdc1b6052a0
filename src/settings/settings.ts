import { IsIn, IsPositive, Matches, MaxLength } from 'class-validator';
import { type Proxies, proxiesFrom, proxyVariables } from '../outgoing/proxies.js';
import { type DeclaredApp, appVariables, isAppVariable, readApps } from './declared-apps.js';
import { type DeclaredSink, readSinks, sinkVariables, undeclaredVariables } from './declared-sinks.js';
import { type Environment, type Given, SettingsError, isAddress, isInjected, textsOf, valuesOf } from './environment.js';
import { tokenRules } from './management-token.js';
import { meant } from './names.js';
import { Must, Setting, Whole, duration, isDatabaseUrl, isHttpUrl, list, readClass, settingsOf, size, wholeNumber } from './setting.js';
import { TracingSettings } from './tracing-settings.js';

/** A number, or as it stands what Kubernetes sets in its place. */
function port(text: string): number | string {
  return isAddress(text) ? text : wholeNumber(text);
}

function isPort({ property, value }: { property: string; value: unknown }): string {
  if (typeof value !== 'string') return `${property} must be a whole number`;
  return `${property} is set by Kubernetes for a Service of that name: set enableServiceLinks: false in the pod`;
}

export const logLevels = ['error', 'warn', 'info', 'debug'] as const;

/** Everything that the environment says, checked. */
export class Settings extends TracingSettings {
  @Setting({ meaning: 'Comma-separated ids (digits) of the apps that we answer to', parse: list, example: '1400000001', required: true })
  @Matches(/^\d{1,20}$/, { each: true, message: '$property must list ids made of digits, separated by commas' })
  SDK_APP_IDS!: string[];

  @Setting({
    meaning:
      'Comma-separated authentication tokens of the webhook console: the current and, while rotating, the previous. Without one anybody who knows the URL can send (a warning at start)',
    parse: list,
    secret: true,
    example: 'the-token-of-the-console',
  })
  @MaxLength(128, { each: true, message: '$property must list tokens of at most 128 characters' })
  WEBHOOK_TOKENS?: string[];

  @Setting({ meaning: 'Allowed distance of RequestTime from now, in whole seconds, both ways', default: '60', parse: wholeNumber })
  @Whole(1, 86_400)
  WEBHOOK_SIGN_WINDOW_SECONDS!: number;

  @Setting({ meaning: 'The path that the vendor calls', default: '/webhooks/tencent-chat' })
  // Who sends takes dots alone out of a path.
  @Matches(/^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._~-]+)+\/?$/, {
    message: '$property must be a path such as /webhooks/tencent-chat, of letters, digits and . _ ~ -',
  })
  WEBHOOK_PATH!: string;

  @Setting({
    meaning: 'The largest body, counted after decompression: bytes, or a number and kb or mb',
    default: '1mb',
    parse: size,
  })
  @Whole(1024, 64 * 1024 * 1024, { message: '$property must be bytes, or a number and kb or mb, such as 65536 or 1mb' })
  WEBHOOK_BODY_LIMIT!: number;

  @Setting({ meaning: 'Where webhooks come in; 0 takes a free port', default: '3000', parse: port })
  @Whole(0, 65_535, { message: isPort })
  PORT!: number;

  @Setting({ meaning: 'Where health, metrics and the API are; keep it inside. 0 takes a free port', default: '3001', parse: port })
  @Whole(0, 65_535, { message: isPort })
  MANAGEMENT_PORT!: number;

  @Setting({ meaning: 'The address of this machine that PORT listens on', default: '0.0.0.0' })
  HOST!: string;

  @Setting({ meaning: 'The address of this machine that MANAGEMENT_PORT listens on; as HOST unless set', example: '127.0.0.1' })
  MANAGEMENT_HOST?: string;

  @Setting({
    meaning: 'The bearer token of /api/v1, 16 characters or more; without it the API and its documentation are 404',
    secret: true,
    example: 'a-long-random-text',
  })
  @Matches(...tokenRules[0])
  @Matches(...tokenRules[1])
  MANAGEMENT_TOKEN?: string;

  @Setting({
    meaning:
      "The http(s) address at which people's browsers reach MANAGEMENT_PORT: Details in Slack then has a link to a page, which lets in who has it for one hour. Needs MANAGEMENT_TOKEN",
    example: 'https://channel-sync.example.com',
  })
  @Must(
    'an http or https URL without user, query and fragment',
    value => isHttpUrl(value) && !/[?#]|^https?:\/\/[^/]*@/i.test(String(value)),
  )
  PUBLIC_URL?: string;

  @Setting({
    meaning: '`sqlite:` and a path (folders are made) for one process, or `postgres://…`. A path is relative to where the process starts',
    default: 'sqlite:data/channel-sync.db',
    secret: true,
  })
  @Must('sqlite: and a path, or postgres://user:password@host:port/database, percent-encoded', isDatabaseUrl)
  DATABASE_URL!: string;

  @Setting({
    meaning:
      'With PostgreSQL only: where webhooks are kept, fsynced, while the database does not answer; taken in when it does. Processes may share it',
    default: 'data/spool',
  })
  SPOOL_DIR!: string;

  @Setting({
    meaning:
      'After how many days webhooks, changes, deliveries and attempts go, unless one of them is still pending or parked; profiles and the newest change of each channel stay',
    default: '90',
    parse: wholeNumber,
  })
  @Whole(1, 36_500)
  RETENTION_DAYS!: number;

  @Setting({
    meaning: 'Tell the Slack sinks when no webhook came for this long: a whole number and s, m, h or d; off unless set',
    parse: duration,
    example: '6h',
  })
  @IsPositive({ message: '$property must be a whole number and s, m, h or d, such as 6h' })
  SILENCE_ALERT_AFTER?: number;

  @Setting({ meaning: `How much is logged, as JSON lines on standard output: ${logLevels.join(', ')}`, default: 'info' })
  @IsIn(logLevels)
  LOG_LEVEL!: (typeof logLevels)[number];

  /** Every declared sink, in the order of their names. */
  sinks!: DeclaredSink[];

  /** Every app whose channels are compared, in the order of SDK_APP_IDS. */
  apps!: DeclaredApp[];

  proxies!: Proxies;

  /** What is no mistake and should be looked at, a line each. */
  warnings!: string[];

  static check(settings: Settings): [string, string][] {
    const same = settings.PORT === settings.MANAGEMENT_PORT && settings.PORT !== 0;
    const mistakes: [string, string][] = same
      ? [['MANAGEMENT_PORT', 'must not be the same as PORT: management is never on the public port']]
      : [];
    if (/^\/slack\/interactions\/?$/.test(settings.WEBHOOK_PATH))
      mistakes.push(['WEBHOOK_PATH', 'must not be where Slack tells of clicks: choose another path']);
    return mistakes;
  }
}

const properties = settingsOf(Settings).map(({ property }) => property);
const known = [...properties, ...proxyVariables];

/** Whether a name can only have been meant for us. */
export function isOurs(name: string): boolean {
  return /^(SINK|WEBHOOK|MANAGEMENT)_/.test(name) || isAppVariable(name) || known.includes(name);
}

/**
 * Reads and checks the whole environment.
 * @param warnings that are to be told with the others
 * @throws SettingsError with all mistakes, by full variable name and never with a secret's value
 */
export function readSettings(environment: Environment, warnings: readonly string[] = []): Settings {
  const { settings, mistakes } = examineSettings(environment, warnings);
  if (mistakes.length > 0) throw new SettingsError(mistakes);
  return settings;
}

/** As `readSettings`, for who wants the warnings beside the mistakes, too: with mistakes the settings are not to be used. */
export function examineSettings(environment: Environment, warnings: readonly string[] = []): { settings: Settings; mistakes: string[] } {
  const given = textsOf(environment, isOurs);
  const { value: settings, mistakes } = readClass(Settings, given.texts);
  const { proxies, mistakes: ofProxies } = proxiesFrom(given.texts);
  given.mistakes.push(...mistakes, ...ofProxies, ...strangers(given));
  settings.proxies = proxies;
  settings.sinks = readSinks(given, settings);
  settings.apps = readApps(given, settings.SDK_APP_IDS ?? []);
  const misses = nearMisses(environment, given, settings.SDK_APP_IDS ?? []);
  const lines = [...given.unreadable.values(), ...new Set(given.mistakes)]
    // What is wrong with a value that could not be read is a mistake already.
    .filter(line => [undefined, line].includes(given.unreadable.get(line.split(' ', 1)[0]!)))
    .map(line => {
      const [name] = [...misses].find(([, ours]) => line === `${ours} is required`) ?? [];
      return oneLine(name === undefined ? line : `${line}: is it what ${name} was meant for?`);
    });
  settings.warnings = [...misses].map(([name, ours]) => oneLine(`${name} is no setting: did you mean ${ours}?`));
  settings.warnings.push(...warnings);
  if (!given.names.has('WEBHOOK_TOKENS')) settings.warnings.push('WEBHOOK_TOKENS is not set: whoever knows the URL can send webhooks');
  if (settings.PUBLIC_URL !== undefined && settings.MANAGEMENT_TOKEN === undefined)
    settings.warnings.push('PUBLIC_URL does nothing without MANAGEMENT_TOKEN: there is no page');
  for (const sink of settings.sinks)
    for (const id of sink.settings.SDK_APP_IDS ?? [])
      if (settings.SDK_APP_IDS?.includes(id) === false)
        settings.warnings.push(
          `SINK_${sink.name.toUpperCase()}_SDK_APP_IDS has ${id}, which is not in SDK_APP_IDS: nothing comes from that app`,
        );
  if (settings.sinks.length > 0 || lines.some(line => line.startsWith('SINK_'))) return { settings, mistakes: lines };
  settings.warnings.push('no sink is declared (SINK_<NAME>_TYPE): changes go to the log');
  settings.sinks = readSinks({ ...given, texts: new Map([['SINK_LOG_TYPE', 'log']]) }, settings);
  return { settings, mistakes: lines };
}

/** Names may hold anything. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, '\ufffd');
}

/** What is wrong with names that begin like ours and are none; those of sinks are found where sinks are read. */
function strangers({ texts, names }: Given): string[] {
  const strange = [...texts].filter(([name, text]) => !known.includes(name) && !/^(SINK|APP)_/.test(name) && !isInjected(name, text));
  return strange.map(([base]) => {
    const name = names.get(base)!;
    const alike = properties.filter(one => one.startsWith(`${name.split('_', 1)[0]}_`));
    const near = meant(name, properties);
    if (near !== undefined) return `${name} is no setting: did you mean ${near}?`;
    return `${name} is no setting${alike.length > 0 ? `; those that begin like it are ${alike.join(', ')}` : ' of this version'}`;
  });
}

/** Names that do not begin like ours, but are nearly ours; short ones would be near to too much. */
function nearMisses(environment: Environment, given: Given, sdkAppIds: readonly string[]): Map<string, string> {
  const ours = [...properties.filter(name => name.length >= 8), ...sinkVariables(given), ...appVariables(sdkAppIds)];
  // A cluster may inject thousands for its Services.
  const others = [...valuesOf(environment)].filter(([name, value]) => !isInjected(name, value)).map(([name]) => name);
  return new Map(
    others.flatMap(name => {
      if (isOurs(name) || isOurs(name.replace(/_FILE$/, ''))) return [];
      const near = meant(name, [...ours, ...undeclaredVariables(name)]);
      return near === undefined ? [] : [[name, near] as const];
    }),
  );
}
