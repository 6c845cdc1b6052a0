import { randomUUID } from 'node:crypto';
import { rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { env } from 'node:process';
import { checkSink } from '../../checks/check-sink.js';
import { UnusableDatabase } from '../../database/errors.js';
import { explain } from '../../database/postgres/advice.js';
import { inEnglish } from '../../explanations/explanation.js';
import { reasonOf, syncFolder, unsyncable, writeWhole } from '../../intake/spool-files.js';
import type { Proxies } from '../../outgoing/proxies.js';
import { Clock } from '../../process/clock.js';
import { EngineEvents } from '../../process/engine-events.js';
import { Log } from '../../process/log.js';
import { makeFolder } from '../../process/make-folder.js';
import { VendorApi } from '../../reconcile/vendor/api.js';
import { VendorError } from '../../reconcile/vendor/error.js';
import { readChannels } from '../../reconcile/vendor/reader.js';
import type { DeclaredApp } from '../../settings/declared-apps.js';
import { type Clean, cleaner } from '../../settings/cleaner.js';
import { withEnvFile } from '../../settings/env-file.js';
import { secretsOf } from '../../settings/secrets.js';
import { type Settings, examineSettings } from '../../settings/settings.js';
import type { OpenSink } from '../../sinks/sink-type.js';
import { openSinks } from '../check.js';
import { printJson, printTable, progress } from '../terminal.js';
import { readDates } from './clocks.js';
import { examineDatabase } from './database.js';
import { askService } from './service.js';

/** The state of one dependency of the service. */
interface Finding {
  what: string;
  state: 'ok' | 'warning' | 'failure';
  message: string;
  /** What to do; `null` if nothing. */
  advice: string | null;
}

const ok = (what: string, message: string): Finding => ({ what, state: 'ok', message, advice: null });
const warning = (what: string, message: string, advice: string): Finding => ({ what, state: 'warning', message, advice });
const failure = (what: string, message: string, advice: string): Finding => ({ what, state: 'failure', message, advice });

/** Reasons of a service not to be ready that say nothing of its database. */
const passing = ['starting', 'draining'];
const lostFile = 'If its database was deleted or moved, put it back; otherwise give DATABASE_URL of that service.';

/** Checks the settings and everything that they connect to, and prints findings with advice. */
export async function doctor({ json }: { json?: true }): Promise<void> {
  const { settings, mistakes } = examineSettings(...withEnvFile(env));
  const findings =
    mistakes.length > 0
      ? mistakes.map(mistake => failure('settings', mistake, 'Correct it; nothing else was tried.'))
      : await examineAll(settings);
  if (findings.some(({ state }) => state === 'failure')) process.exitCode = mistakes.length > 0 ? 78 : 1;
  if (json) printJson(findings);
  else printTable(findings, 'state what message advice');
}

async function examineAll(settings: Settings): Promise<Finding[]> {
  progress('Looking …');
  const clocks = readDates();
  const opened = await openSinks(settings);
  const embedded = settings.DATABASE_URL.startsWith('sqlite:');
  const [database, spool, ...others] = await Promise.all([
    ofDatabase(settings, clocks, cleaner(secretsOf(settings))),
    embedded ? ok('spool', 'not needed: SQLite keeps all') : ofSpool(settings.SPOOL_DIR),
    ...opened.map(ofSink),
    ...settings.apps.map(app => ofApp(app, settings.proxies)),
  ]);
  for (const { sink } of opened) await sink.close?.();
  const ofSettings = settings.warnings.map(message => warning('settings', message, 'Fix it, or ignore it if it is intended.'));
  return [
    ...(ofSettings.length > 0 ? ofSettings : [ok('settings', 'no mistakes')]),
    database,
    spool,
    ofClocks(clocks, settings.WEBHOOK_SIGN_WINDOW_SECONDS),
    ...others,
  ];
}

async function ofDatabase(settings: Settings, clocks: Map<string, number>, clean: Clean): Promise<Finding> {
  try {
    const { found, aheadMs, isThere } = await examineDatabase(settings.DATABASE_URL);
    if (aheadMs !== null) clocks.set('database', aheadMs);
    // Only the process that has a file of SQLite can try to write to it.
    const service = aheadMs === null ? await askService(settings) : null;
    if (service && !isThere) return failure('database', `${found}, though a service runs`, lostFile);
    if (service && service.reason !== null && !passing.includes(service.reason))
      return failure('database', `${found}; the running service is not ready: ${clean(service.reason)}`, 'Its log says why.');
    return ok('database', isThere ? found : `${found} yet: the service makes it`);
  } catch (error) {
    if (error instanceof UnusableDatabase)
      return failure('database', clean(error.message), 'Fix DATABASE_URL, or the database that it names.');
    const { error: message, advice } = explain(error as Error);
    return failure('database', clean(message), `${advice ?? 'See the log of the database'}.`);
  }
}

/** Writes a file as the spool does, then removes it with the folders that were created for it. */
async function ofSpool(directory: string): Promise<Finding> {
  const folder = resolve(directory);
  const file = join(folder, `doctor-${randomUUID()}`);
  let made: string | undefined;
  try {
    made = await makeFolder(folder);
    await writeWhole(file, Buffer.from('written by channel-sync doctor'));
    await syncFolder(folder);
    return ok('spool', `${folder} is writable, and syncs to disk`);
  } catch (error) {
    const reason = reasonOf(error);
    if (unsyncable.has(reason) && (error as NodeJS.ErrnoException).syscall === 'fsync') {
      const message = `${folder} is writable, but cannot sync folders (${reason})`;
      return warning('spool', message, 'A power cut may lose webhooks: use a local disk.');
    }
    const advice = "Set SPOOL_DIR to a folder that the service's user may write to, on a disk with free space.";
    return failure('spool', `${folder} cannot be written (${reason})`, advice);
  } finally {
    for (const path of [file, `${file}.new`]) await rm(path, { force: true }).catch(() => undefined);
    // rmdir fails for a folder that a service has started to use.
    if (made !== undefined)
      for (let path = folder; path.length >= made.length; path = dirname(path)) await rmdir(path).catch(() => undefined);
  }
}

/** Smaller differences are not reported: `Date` has whole seconds, and responses take time. */
const warningMs = 5000;

/** @param windowSeconds the allowed difference between the vendor's clock and ours */
function ofClocks(clocks: ReadonlyMap<string, number>, windowSeconds: number): Finding {
  if (clocks.size === 0) return ok('clock', 'not compared: no target reported its time');
  const differences = Array.from(clocks, ([name, ms]) => {
    const seconds = Math.round(Math.abs(ms) / 1000);
    return seconds <= 1 ? `${name} agrees` : `${name} is ${seconds} s ${ms > 0 ? 'ahead of' : 'behind'} ours`;
  }).join(', ');
  const worst = Math.max(...[...clocks.values()].map(Math.abs));
  const advice = 'Set the clock of this machine by NTP; if only one of several differs, that one.';
  if (worst > windowSeconds * 1000) return failure('clock', differences, `${advice} Tencent's webhooks are rejected while ours is off.`);
  return worst > warningMs ? warning('clock', differences, advice) : ok('clock', differences);
}

async function ofSink({ name, sink }: { name: string; sink: OpenSink }): Promise<Finding> {
  const { problems, summary } = await checkSink(sink, new AbortController().signal);
  const texts = (of: 'reason' | 'advice'): string => [...new Set(problems.map(problem => inEnglish(problem[of])))].join(' ');
  return problems.length === 0 ? ok(`sink ${name}`, summary) : failure(`sink ${name}`, texts('reason'), texts('advice'));
}

/** Reads one channel as a comparison does; it does not need to exist. */
async function ofApp(app: DeclaredApp, proxies: Proxies): Promise<Finding> {
  const what = `app ${app.sdkAppId}`;
  const silent = new Log('error', Date.now, () => undefined);
  const unpaced = () => Promise.resolve(() => undefined);
  const api = new VendorApi(app, proxies, new Clock(), new EngineEvents(), silent, unpaced);
  try {
    await readChannels(api, ['@TOA#_channel-sync-test'], new AbortController().signal);
    return ok(what, "Tencent's REST API takes the secret key and the account");
  } catch (error) {
    if (error instanceof VendorError) return failure(what, inEnglish(error.why), inEnglish(error.advice));
    throw error;
  } finally {
    api.close();
  }
}
