import { env } from 'node:process';
import { cleaner } from '../settings/cleaner.js';
import { withEnvFile } from '../settings/env-file.js';
import { secretsOf } from '../settings/secrets.js';
import { type Settings, examineSettings } from '../settings/settings.js';
import type { OpenSink, SinkContext } from '../sinks/sink-type.js';
import { plain } from './table.js';
import { print, printJson, printTable } from './terminal.js';

/** Prints all mistakes and warnings of the settings. */
export async function check({ json }: { json?: true }): Promise<void> {
  const { settings, mistakes } = examineSettings(...withEnvFile(env));
  const { warnings } = settings;
  if (mistakes.length > 0) process.exitCode = 78;
  else for (const { sink } of await openSinks(settings)) await sink.close?.();
  if (json) return printJson({ mistakes, warnings });
  const rows = [...mistakes.map(message => ({ what: 'mistake', message })), ...warnings.map(message => ({ what: 'warning', message }))];
  if (rows.length > 0) printTable(rows, 'what message');
  if (mistakes.length === 0)
    print(plain(`The settings can be used. Sinks: ${settings.sinks.map(({ name, type }) => `${name} (${type.type})`).join(', ')}`));
}

/** Opens the configured sinks, to check them; adds what they warn of to the warnings of the settings. */
export async function openSinks(settings: Settings): Promise<{ name: string; sink: OpenSink }[]> {
  const { sinks, warnings, proxies, SDK_APP_IDS: sdkAppIds } = settings;
  const warn = (message: string): void => void warnings.push(message);
  // The rest of the context is used only by interactive sinks.
  const common: Partial<SinkContext> = { sdkAppIds, now: () => Date.now(), warn, proxies, clean: cleaner(secretsOf(settings)) };
  return Promise.all(
    sinks.map(async ({ name, type, settings: own }) => ({ name, sink: await type.open(own, { name, ...common } as SinkContext) })),
  );
}
