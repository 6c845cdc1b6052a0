import { UnusableDatabase } from '../../database/errors.js';
import { explain } from '../../database/postgres/advice.js';
import { checkSink } from '../../checks/check-sink.js';
import { inEnglish } from '../../explanations/explanation.js';
import type { Settings } from '../../settings/settings.js';
import { examine } from '../settings.js';
import { type OpenedSink, openSinks } from '../sinks.js';
import { printJson, printTable, progress } from '../terminal.js';
import { type Clocks, judge, readDates } from './clock.js';
import { examineApp } from './app.js';
import { examineDatabase } from './database.js';
import { type Finding, failure, ok, warning } from './finding.js';
import { examineSpool } from './spool.js';

/** Checks the settings and everything that they connect to, and prints findings with advice. */
export async function doctor({ json }: { json?: true }): Promise<void> {
  const { settings, mistakes } = examine();
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
  const { warnings } = settings;
  const clocks: Clocks = new Map();
  const stopReading = readDates(clocks, () => Date.now());
  const opened = await openSinks(settings, message => warnings.push(message));
  const embedded = settings.DATABASE_URL.startsWith('sqlite:');
  const findings = await Promise.all([
    ofDatabase(settings.DATABASE_URL, clocks),
    embedded ? ok('spool', 'not needed: SQLite keeps all') : examineSpool(settings.SPOOL_DIR),
    ...opened.map(ofSink),
    ...settings.apps.map(app => examineApp(app, settings.proxies)),
  ]);
  stopReading();
  for (const { close } of opened) await close();
  const [database, spool, ...others] = findings as [Finding, Finding, ...Finding[]];
  const ofSettings = warnings.map(message => warning('settings', message, 'Fix it, or ignore it if it is intended.'));
  return [
    ...(ofSettings.length > 0 ? ofSettings : [ok('settings', 'no mistakes')]),
    database,
    spool,
    judge(clocks, settings.WEBHOOK_SIGN_WINDOW_SECONDS),
    ...others,
  ];
}

async function ofDatabase(url: string, clocks: Clocks): Promise<Finding> {
  try {
    const { found, aheadMs } = await examineDatabase(url);
    if (aheadMs !== null) clocks.set('database', aheadMs);
    return ok('database', found);
  } catch (error) {
    if (error instanceof UnusableDatabase) return failure('database', error.message, 'Fix DATABASE_URL, or the database that it names.');
    const { error: message, advice } = explain(error as Error);
    return failure('database', message, `${advice ?? 'See the log of the database'}.`);
  }
}

async function ofSink({ name, sink }: OpenedSink): Promise<Finding> {
  const { problems, summary } = await checkSink(sink, new AbortController().signal);
  const texts = (of: 'reason' | 'advice'): string => [...new Set(problems.map(problem => inEnglish(problem[of])))].join(' ');
  return problems.length === 0 ? ok(`sink ${name}`, summary) : failure(`sink ${name}`, texts('reason'), texts('advice'));
}
