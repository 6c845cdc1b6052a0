import { readFileSync } from 'node:fs';
import { ArrayNotEmpty, IsIn, IsInt, IsOptional, IsPositive, Matches, Max, MaxLength, Min, MinLength, ValidateBy } from 'class-validator';
import { type Proxies, proxiesFrom, proxyVariables } from '../outgoing/proxies.js';
import type { SinkSettings, SinkType } from '../sinks/sink.js';
import { sinkTypes } from '../sinks/sinks.js';
import { Setting, duration, isDatabaseUrl, list, readClass, settingsOf, size, wholeNumber } from './setting.js';

export const logLevels = ['error', 'warn', 'info', 'debug'] as const;

/** One sink that the environment declares. */
export interface DeclaredSink {
  /** Lower case. */
  name: string;
  type: SinkType;
  settings: SinkSettings;
}

/** Everything that the environment says, checked. */
export class Settings {
  @Setting({ meaning: 'Comma-separated ids (digits) of the apps that we answer to', parse: list, example: '1400000001' })
  @ArrayNotEmpty()
  @Matches(/^\d{1,20}$/, { each: true, message: '$property must list ids made of digits, separated by commas' })
  SDK_APP_IDS!: string[];

  @Setting({
    meaning:
      'Comma-separated authentication tokens of the webhook console: the current and, while rotating, the previous. Without one anybody who knows the URL can send (a warning at start)',
    parse: list,
    secret: true,
    example: 'the-token-of-the-console',
  })
  @IsOptional()
  @ArrayNotEmpty()
  @MaxLength(128, { each: true, message: '$property must list tokens of at most 128 characters' })
  WEBHOOK_TOKENS?: string[];

  @Setting({ meaning: 'Allowed distance of RequestTime from now, in whole seconds, both ways', default: '60', parse: wholeNumber })
  @IsInt()
  @Min(1)
  @Max(86_400)
  WEBHOOK_SIGN_WINDOW_SECONDS!: number;

  @Setting({ meaning: 'The path that the vendor calls', default: '/webhooks/tencent-chat' })
  @Matches(/^(\/[A-Za-z0-9._~-]+)+\/?$/, {
    message: '$property must be a path such as /webhooks/tencent-chat, of letters, digits and . _ ~ -',
  })
  WEBHOOK_PATH!: string;

  @Setting({
    meaning: 'The largest body, counted after decompression: bytes, or a number and kb or mb',
    default: '1mb',
    parse: size,
  })
  @IsInt({ message: '$property must be bytes, or a number and kb or mb, such as 65536 or 1mb' })
  @Min(1024)
  @Max(64 * 1024 * 1024)
  WEBHOOK_BODY_LIMIT!: number;

  @Setting({ meaning: 'Where webhooks come in; 0 takes a free port', default: '3000', parse: wholeNumber })
  @IsInt()
  @Min(0)
  @Max(65_535)
  PORT!: number;

  @Setting({ meaning: 'Where health, metrics and the API are; keep it inside. 0 takes a free port', default: '3001', parse: wholeNumber })
  @IsInt()
  @Min(0)
  @Max(65_535)
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
  @IsOptional()
  @Matches(/^[^\s\p{C}]+$/u, { message: '$property must have no blanks and no control characters: it travels in a header' })
  @MinLength(16, { message: '$property must have 16 characters or more' })
  MANAGEMENT_TOKEN?: string;

  @Setting({
    meaning: '`sqlite:` and a path (folders are made) for one process, or `postgres://…`. A path is relative to where the process starts',
    default: 'sqlite:data/channel-sync.db',
    secret: true,
  })
  @ValidateBy({
    name: 'isDatabaseUrl',
    validator: {
      validate: isDatabaseUrl,
      defaultMessage: () => '$property must be sqlite: and a path, or postgres://user:password@host:port/database, percent-encoded',
    },
  })
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
  @IsInt()
  @Min(1)
  @Max(36_500)
  RETENTION_DAYS!: number;

  @Setting({
    meaning: 'Tell the Slack sinks when no webhook came for this long: a whole number and s, m, h or d; off unless set',
    parse: duration,
    example: '6h',
  })
  @IsOptional()
  @IsPositive({ message: '$property must be a whole number and s, m, h or d, such as 6h' })
  SILENCE_ALERT_AFTER?: number;

  @Setting({ meaning: `How much is logged, as JSON lines on standard output: ${logLevels.join(', ')}`, default: 'info' })
  @IsIn(logLevels)
  LOG_LEVEL!: (typeof logLevels)[number];

  /** Every declared sink, in the order of their names. */
  sinks!: DeclaredSink[];

  proxies!: Proxies;

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

/** Everything that is wrong with the environment, a line each. */
export class SettingsError extends Error {
  constructor(readonly mistakes: readonly string[]) {
    super(mistakes.join('\n'));
  }
}

type Environment = Readonly<Record<string, unknown>>;

/** Variables that Kubernetes injects for a Service whose name begins with `sink`. */
const injected = /(_SERVICE_HOST|_SERVICE_PORT(_.*)?|_PORT|_PORT_\d+_.*)$/;

/**
 * Reads and checks the whole environment.
 * @throws SettingsError with all mistakes, by full variable name and never with a secret's value
 */
export function readSettings(environment: Environment): Settings {
  const mistakes: string[] = [];
  const { texts, names, unreadable } = textsOf(environment, mistakes);
  const { value: settings, mistakes: own } = readClass(Settings, texts);
  const { proxies, mistakes: ofProxies } = proxiesFrom(texts);
  mistakes.push(...own, ...ofProxies);
  settings.proxies = proxies;
  settings.sinks = readSinks(texts, names, mistakes);
  if (settings.sinks.length === 0) settings.sinks = [defaultSink()];
  // What is wrong with a value that could not be read has been told already.
  const told = [...new Set(mistakes)].filter(line => !unreadable.has(line.split(' ', 1)[0]!));
  if (told.length > 0) throw new SettingsError(told);
  return settings;
}

/** True if nothing declares a sink, so that the log stands in. */
export function isDefaultSink({ settings }: DeclaredSink): boolean {
  return defaultSinks.has(settings);
}

const defaultSinks = new WeakSet<SinkSettings>();

function defaultSink(): DeclaredSink {
  const type = sinkTypes.find(one => one.type === 'log')!;
  const settings = readClass(type.settings, new Map()).value;
  defaultSinks.add(settings);
  return { name: 'log', type, settings };
}

/** What the environment says, by the names of the settings. */
interface Given {
  /** Those given as a file read from it; set but empty is unset. */
  texts: Map<string, string>;
  /** The variable that each was given as. */
  names: Map<string, string>;
  /** Those whose file cannot be read: set, to nothing. */
  unreadable: Set<string>;
}

function textsOf(environment: Environment, mistakes: string[]): Given {
  const wanted = (name: string): boolean =>
    name.startsWith('SINK_') || proxyVariables.includes(name) || settingsOf(Settings).some(({ property }) => property === name);
  // A port of a Service may be called `file`.
  const isFile = (name: string): boolean => name.endsWith('_FILE') && !(name.startsWith('SINK_') && injected.test(name));
  const given: Given = { texts: new Map(), names: new Map(), unreadable: new Set() };
  const { texts, names, unreadable } = given;
  const set = (name: string, text: string, as: string): void => void (texts.set(name, text), names.set(name, as));
  for (const [name, text] of Object.entries(environment)) {
    if (typeof text === 'string' && text !== '' && wanted(name) && !isFile(name)) set(name, text, name);
  }
  for (const [name, path] of Object.entries(environment)) {
    const base = name.slice(0, -'_FILE'.length);
    if (!isFile(name) || typeof path !== 'string' || path === '' || !wanted(base)) continue;
    if (texts.has(base)) {
      mistakes.push(`${base} and ${name} are both set: keep one of them`);
      continue;
    }
    try {
      const text = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
      if (text !== '') set(base, text, name);
    } catch (error) {
      set(base, '', name);
      unreadable.add(base);
      mistakes.push(`${name} names a file that cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
    }
  }
  return given;
}

function readSinks(texts: ReadonlyMap<string, string>, given: ReadonlyMap<string, string>, mistakes: string[]): DeclaredSink[] {
  const variables = [...texts.keys()].filter(name => name.startsWith('SINK_'));
  const names = variables.flatMap(name => /^SINK_([A-Z0-9_]*[A-Z0-9])_TYPE$/.exec(name)?.[1] ?? []).sort();
  const parts = new Map<string, Map<string, string>>(names.map(name => [name, new Map()]));
  for (const variable of variables) {
    // The longest declared name wins: SINK_CRM_EU_URL is the URL of crm_eu, if there is one.
    const owner = names.filter(name => variable.startsWith(`SINK_${name}_`)).sort((one, other) => other.length - one.length)[0];
    if (owner !== undefined) parts.get(owner)!.set(variable.slice(`SINK_${owner}_`.length), texts.get(variable)!);
    else if (!injected.test(variable))
      mistakes.push(`${given.get(variable)} belongs to no sink: declare one with SINK_<NAME>_TYPE, or correct the name`);
  }
  const sinks = names.flatMap(name => readSink(name, parts.get(name)!, given, mistakes) ?? []);
  mistakes.push(...clashesOf(sinks));
  return sinks;
}

/** Sinks that would spoil what they write for each other. */
function clashesOf(sinks: readonly DeclaredSink[]): string[] {
  const taken = new Map<string, string>();
  return sinks.flatMap(({ name, type: { alone }, settings }) => {
    const what = alone?.on(settings) ?? null;
    if (!alone || what === null) return [];
    const variable = `SINK_${name.toUpperCase()}_${alone.setting}`;
    const other = taken.get(what);
    if (other === undefined) taken.set(what, variable);
    return other === undefined ? [] : [`${variable} must be another one than ${other}, or at another URL: two sinks cannot share it`];
  });
}

function readSink(
  name: string,
  texts: ReadonlyMap<string, string>,
  given: ReadonlyMap<string, string>,
  mistakes: string[],
): DeclaredSink | null {
  const prefix = `SINK_${name}_`;
  const type = sinkTypes.find(one => one.type === texts.get('TYPE'));
  if (!type) {
    mistakes.push(`${prefix}TYPE must be one of ${sinkTypes.map(one => one.type).join(', ')}`);
    return null;
  }
  const known = new Set(['TYPE', ...settingsOf(type.settings).map(({ property }) => property)]);
  for (const property of texts.keys()) {
    if (!known.has(property) && !injected.test(prefix + property))
      mistakes.push(`${given.get(prefix + property)} is not a setting of ${type.type} sinks`);
  }
  const { value, mistakes: own } = readClass(type.settings, texts, prefix);
  mistakes.push(...own);
  return { name: name.toLowerCase(), type, settings: value };
}
