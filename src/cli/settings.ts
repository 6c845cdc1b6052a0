import { env } from 'node:process';
import { withEnvFile } from '../settings/env-file.js';
import { type Settings, examineSettings } from '../settings/settings.js';

/** All settings with all mistakes, of the environment and `.env`: if there are any the settings are not to be used. @throws SettingsError if `.env` cannot be read */
export function examine(): { settings: Settings; mistakes: string[] } {
  const { variables, warnings } = withEnvFile(env);
  return examineSettings(variables, warnings);
}
