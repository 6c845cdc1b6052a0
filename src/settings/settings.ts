import { IsPositive, Matches, MaxLength } from 'class-validator';
import { type Proxies, proxiesFrom, proxyVariable, proxyVariables } from '../outgoing/proxies.js';
import { type DeclaredApp, appVariables, isAppVariable, readApps } from './declared-apps.js';
import { type DeclaredSink, readSinks, sinkVariables, undeclaredVariables } from './declared-sinks.js';
import { type Environment, type RawSettings, SettingsError, isAddress, isInjected, textsOf, tokenRules, valuesOf } from './environment.js';
import { closestName } from './names.js';
import {
  IsUrl,
  Must,
  OneOf,
  Setting,
  Whole,
  duration,
  isBaseUrl,
  isHost,
  list,
  readClass,
  settingsOf,
  size,
  wholeNumber,
} from './setting.js';
import { TracingSettings } from './tracing-settings.js';

/** A number, or the unparsed value that Kubernetes injects for a Service of the same name. */
function port(text: string): number | string {
  return isAddress(text) ? text : wholeNumber(text);
}

const IsHost = (): PropertyDecorator => Must('an IP address or a host name, without scheme and port', isHost);

function portMistake({ property, value }: { property: string; value: unknown }): string {
  if (typeof value !== 'string') return `${property} must be a whole number from 0 to 65535`;
  return `${property} is set by Kubernetes for a Service of that name: set enableServiceLinks: false in the pod`;
}

/** Whether this is `sqlite:` with a path, or a valid `postgres://` URL; for a Unix socket that has no host. */
function isDatabaseUrl(text: unknown): boolean {
  if (typeof text !== 'string') return false;
  return /^sqlite:./s.test(text) || (/^postgres(ql)?:\/\/./.test(text) && URL.canParse(text.replace('@/', '@socket/')));
}

/** The PostgreSQL driver ignores parameters that it does not know: with `sslMode=require` nothing would be encrypted. */
function isEncryptedAsMeant(url: unknown): boolean {
  const names = String(url).match(/(?<=^postgres.*[?&])(ssl|tls)[^=&]*/gis) ?? [];
  return names.every(name => /^ssl(mode|rootcert|cert|key|negotiation)?$/.test(name));
}

function isOnDisk(url: unknown): boolean {
  return !/^sqlite:(:memory:|file:|.*[?&]mode=memory)/i.test(String(url));
}

export const logLevels = ['error', 'warn', 'info', 'debug'] as const;

export class Settings extends TracingSettings {
  @Setting('Comma-separated ids (digits) of the apps whose webhooks are accepted', { parse: list, example: '1400000001', required: true })
  @Matches(/^\d{1,20}$/, { each: true, message: '$property must list ids made of digits, separated by commas' })
  SDK_APP_IDS!: string[];

  @Setting(
    'Comma-separated authentication tokens of the webhook console: the current and, while rotating, the previous. Without one, anyone who knows the URL can send webhooks (a warning at start)',
    { parse: list, secret: true, example: 'the-token-of-the-console' },
  )
  @MaxLength(128, { each: true, message: '$property must list tokens of at most 128 characters' })
  WEBHOOK_TOKENS?: string[];

  @Setting('Allowed distance of RequestTime from now, in whole seconds, both ways', { default: '60', parse: wholeNumber })
  @Whole(1, 86_400)
  WEBHOOK_SIGN_WINDOW_SECONDS!: number;

  @Setting('The path of the webhook URL', { default: '/webhooks/tencent-chat' })
  // Clients remove `.` and `..` segments from a path.
  @Matches(/^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._~-]+)+\/?$/, {
    message: '$property must be a path such as /webhooks/tencent-chat, of letters, digits and . _ ~ -',
  })
  WEBHOOK_PATH!: string;

  @Setting('The largest body, counted after decompression: bytes, or a number and kb or mb', { default: '1mb', parse: size })
  @Whole(1024, 64 * 1024 * 1024, { message: '$property must be bytes, or a number and kb or mb, such as 65536 or 1mb' })
  WEBHOOK_BODY_LIMIT!: number;

  @Setting('The port for webhooks; 0 takes a free one', { default: '3000', parse: port })
  @Whole(0, 65_535, { message: portMistake })
  PORT!: number;

  @Setting('The port for health, metrics and the API; keep it inside your network. 0 takes a free one', { default: '3001', parse: port })
  @Whole(0, 65_535, { message: portMistake })
  MANAGEMENT_PORT!: number;

  @Setting('The address of this machine that PORT listens on', { default: '0.0.0.0' })
  @IsHost()
  HOST!: string;

  @Setting('The address of this machine that MANAGEMENT_PORT listens on; the same as HOST unless set', { example: '127.0.0.1' })
  @IsHost()
  MANAGEMENT_HOST?: string;

  @Setting('The bearer token of /api/v1, 16 characters or more; without it the API and its documentation answer 404', {
    secret: true,
    example: 'a-long-random-text',
  })
  @Matches(...tokenRules[0])
  @Matches(...tokenRules[1])
  MANAGEMENT_TOKEN?: string;

  @Setting(
    "The http(s) address at which people's browsers reach MANAGEMENT_PORT: Details in Slack then has a link to a page, which anyone who has the link can open for one hour. Needs MANAGEMENT_TOKEN",
    { example: 'https://channel-sync.example.com' },
  )
  @IsUrl('an http or https URL without user, query and fragment', isBaseUrl)
  PUBLIC_URL?: string;

  @Setting(
    '`sqlite:` and a path (folders are created) for one process, or `postgres://…`. A path is relative to where the process starts',
    { default: 'sqlite:data/channel-sync.db', secret: true },
  )
  @Must('sqlite: and a path, or postgres://user:password@host:port/database, percent-encoded', isDatabaseUrl)
  @Must('sqlite: and the path of a file, without :memory:, file: and mode=memory: a restart would lose what is only in memory', isOnDisk)
  @Must('without parameters for TLS other than ssl, sslmode, sslrootcert, sslcert, sslkey and sslnegotiation', isEncryptedAsMeant)
  DATABASE_URL!: string;

  @Setting(
    'With PostgreSQL only: the folder where webhooks are stored, fsynced, while the database is unavailable; they are recorded when it is back. Processes may share it',
    { default: 'data/spool' },
  )
  SPOOL_DIR!: string;

  @Setting(
    'Webhooks, changes, deliveries and attempts are deleted after this many days, unless a delivery is still pending or parked; profiles and the latest change of each channel stay',
    { default: '90', parse: wholeNumber },
  )
  @Whole(1, 36_500)
  RETENTION_DAYS!: number;

  @Setting('Alert in Slack when no webhook has arrived for this long: a whole number and s, m, h or d; off unless set', {
    parse: duration,
    example: '6h',
  })
  @IsPositive({ message: '$property must be a whole number and s, m, h or d, such as 6h' })
  SILENCE_ALERT_AFTER?: number;

  @Setting(`How much is logged, as JSON lines on standard output: ${logLevels.join(', ')}`, { default: 'info' })
  @OneOf(logLevels)
  LOG_LEVEL!: (typeof logLevels)[number];

  /** Every declared sink, ordered by name. */
  sinks!: DeclaredSink[];

  /** Every app whose channels are compared, in the order of SDK_APP_IDS. */
  apps!: DeclaredApp[];

  proxies!: Proxies;

  /** Not mistakes, but worth a look; one line each. */
  warnings!: string[];

  static override check(settings: Settings) {
    const { PORT, MANAGEMENT_PORT, WEBHOOK_PATH } = settings;
    const mistakes = super.check(settings);
    if (PORT === MANAGEMENT_PORT && PORT !== 0)
      mistakes.push(['MANAGEMENT_PORT', 'must not be the same as PORT: management is never on the public port']);
    if (/^\/slack\/interactions\/?$/.test(WEBHOOK_PATH))
      mistakes.push(['WEBHOOK_PATH', 'must be another path: Slack sends clicks to this one']);
    return mistakes;
  }
}

const properties = settingsOf(Settings).map(({ property }) => property);
const knownNames = [...properties, ...proxyVariables];

/** Whether a variable name can only be meant for this service. */
export function isOurs(name: string): boolean {
  return /^(SINK|WEBHOOK|MANAGEMENT)_/.test(name) || isAppVariable(name) || knownNames.includes(name);
}

/**
 * Reads and validates the whole environment.
 * @param warnings added to those found here
 * @throws SettingsError with all mistakes, by full variable name and never with a secret value
 */
export function readSettings(environment: Environment, warnings: readonly string[] = []): Settings {
  const { settings, mistakes } = examineSettings(environment, warnings);
  if (mistakes.length > 0) throw new SettingsError(mistakes);
  return settings;
}

/** Like `readSettings`, but returns the mistakes instead of throwing. If there are any, the settings must not be used. */
export function examineSettings(environment: Environment, warnings: readonly string[] = []): { settings: Settings; mistakes: string[] } {
  const raw = textsOf(environment, isOurs);
  const { value: settings, mistakes } = readClass(Settings, raw.texts);
  const { proxies, mistakes: proxyMistakes } = proxiesFrom(raw.texts);
  raw.mistakes.push(...mistakes, ...proxyMistakes, ...unknownNames(raw));
  settings.proxies = proxies;
  settings.sinks = readSinks(raw, settings);
  settings.apps = readApps(raw, settings.SDK_APP_IDS ?? []);
  const misses = nearMisses(environment, raw, settings.SDK_APP_IDS ?? []);
  // Nothing more about a value that could not be read.
  const others = [...new Set(raw.mistakes)].filter(line => !raw.unreadable.has(line.split(' ', 1)[0]!));
  const lines = [...raw.unreadable.values(), ...others].map(line => {
    const [name] = [...misses].find(([, ours]) => line === `${ours} is required`) ?? [];
    return oneLine(name === undefined ? line : `${line}: is it what ${name} was meant for?`);
  });
  settings.warnings = [...misses].map(([name, ours]) => oneLine(`${name} is no setting: did you mean ${ours}?`));
  settings.warnings.push(...warnings);
  if (!raw.names.has('WEBHOOK_TOKENS')) settings.warnings.push('WEBHOOK_TOKENS is not set: anyone who knows the URL can send webhooks');
  if (settings.PUBLIC_URL !== undefined && settings.MANAGEMENT_TOKEN === undefined)
    settings.warnings.push('PUBLIC_URL does nothing without MANAGEMENT_TOKEN: there is no page');
  const noProxy = proxyVariable(raw.texts, 'no_proxy') ?? '';
  if (/\/\d/.test(raw.texts.get(noProxy) ?? ''))
    settings.warnings.push(`${noProxy} has a range with a /, which matches nothing: write names and addresses`);
  for (const { name, settings: own } of settings.sinks)
    for (const id of own.SDK_APP_IDS?.filter(one => settings.SDK_APP_IDS?.includes(one) === false) ?? [])
      settings.warnings.push(`SINK_${name.toUpperCase()}_SDK_APP_IDS has ${id}, which is not in SDK_APP_IDS: nothing comes from that app`);
  if (settings.sinks.length > 0 || lines.some(line => line.startsWith('SINK_'))) return { settings, mistakes: lines };
  settings.warnings.push('no sink is declared (SINK_<NAME>_TYPE): changes go to the log');
  settings.sinks = readSinks({ ...raw, texts: new Map([['SINK_LOG_TYPE', 'log']]) }, settings);
  return { settings, mistakes: lines };
}

/** Variable names may contain control characters. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, '\ufffd');
}

/** Mistakes about names that begin like ours but are unknown; those of sinks and apps are found where these are read. */
function unknownNames({ texts, names }: RawSettings): string[] {
  const unknown = [...texts].filter(([name, text]) => !knownNames.includes(name) && !/^(SINK|APP)_/.test(name) && !isInjected(name, text));
  return unknown.map(([base]) => {
    const name = names.get(base)!;
    const alike = properties.filter(property => property.startsWith(`${name.split('_', 1)[0]}_`));
    const near = closestName(name, properties);
    if (near !== undefined) return `${name} is no setting: did you mean ${near}?`;
    return `${name} is no setting${alike.length > 0 ? `; those that begin like it are ${alike.join(', ')}` : ' of this version'}`;
  });
}

/** Names that do not begin like ours but are probably misspelled. Short settings are left out: too many names resemble them. */
function nearMisses(environment: Environment, raw: RawSettings, sdkAppIds: readonly string[]): Map<string, string> {
  const ours = [...properties.filter(name => name.length >= 8), ...sinkVariables(raw), ...appVariables(sdkAppIds)];
  // A cluster may inject thousands of variables for its Services.
  const others = [...valuesOf(environment)].filter(([name, value]) => !isInjected(name, value)).map(([name]) => name);
  return new Map(
    others.flatMap(name => {
      if (isOurs(name) || isOurs(name.replace(/_FILE$/, ''))) return [];
      const near = closestName(name, [...ours, ...undeclaredVariables(name)]);
      return near === undefined ? [] : [[name, near] as const];
    }),
  );
}
