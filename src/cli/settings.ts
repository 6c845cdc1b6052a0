import { env } from 'node:process';
import { withEnvFile } from '../settings/env-file.js';
import { type Settings, examineSettings } from '../settings/settings.js';

/** Reads all settings; they must not be used if there are mistakes. @throws SettingsError if `.env` is unreadable */
export function examine(): { settings: Settings; mistakes: string[] } {
  return examineSettings(...withEnvFile(env));
}
