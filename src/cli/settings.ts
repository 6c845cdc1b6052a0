import { env } from 'node:process';
import { withEnvFile } from '../settings/env-file.js';
import { textsOf } from '../settings/environment.js';
import { readClass } from '../settings/setting.js';
import { Settings, SettingsError, examineSettings } from '../settings/settings.js';
import { Fault } from './fault.js';

/** Wrong settings, a line each. */
function wrong(mistakes: readonly string[]): Fault {
  return new Fault(mistakes.join('\n'), 78);
}

/** The environment as the service reads it, `.env` too. @throws Fault */
function environment(): ReturnType<typeof withEnvFile> {
  try {
    return withEnvFile(env);
  } catch (error) {
    throw error instanceof SettingsError ? wrong(error.mistakes) : error;
  }
}

/** All settings, with all mistakes: if there are any they are not to be used. @throws Fault if there is nothing to read them from */
export function examine(): { settings: Settings; mistakes: string[] } {
  const { variables, warnings } = environment();
  return examineSettings(variables, warnings);
}

/** All settings. @throws Fault */
export function settings(): Settings {
  const { settings: read, mistakes } = examine();
  if (mistakes.length > 0) throw wrong(mistakes);
  return read;
}

/** The token of the management API; no other setting is looked at. @throws Fault */
export function managementToken(): string {
  const name = 'MANAGEMENT_TOKEN';
  const { texts, unreadable, mistakes } = textsOf(environment().variables, one => one === name);
  const ofRules = readClass(Settings, texts).mistakes.filter(line => line.startsWith(`${name} `));
  const lines = unreadable.size > 0 ? [...unreadable.values()] : [...mistakes, ...ofRules];
  if (lines.length > 0) throw wrong(lines);
  const token = texts.get(name);
  if (token === undefined) throw wrong([`${name} is required: the one that the service has`]);
  return token;
}
