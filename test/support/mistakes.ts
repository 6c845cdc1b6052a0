import { SettingsError } from '../../src/settings/environment.js';
import { readSettings } from '../../src/settings/settings.js';

/** What is wrong with an environment, and what should be looked at. */
export function mistakesAndWarnings(environment: Record<string, string>): { mistakes: readonly string[]; warnings: readonly string[] } {
  try {
    return { mistakes: [], warnings: readSettings(environment).warnings };
  } catch (error) {
    if (error instanceof SettingsError) return { mistakes: error.mistakes, warnings: [] };
    throw error;
  }
}

/** What is wrong with an environment. */
export const mistakesOf = (environment: Record<string, string>): readonly string[] => mistakesAndWarnings(environment).mistakes;
