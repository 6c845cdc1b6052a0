import { unescape } from 'node:querystring';
import { type SettingsClass, settingsOf } from './setting.js';
import type { Settings } from './settings.js';

/** Shorter ones would be found in every text. */
const shortest = 4;

/** Every secret text that the settings hold, the longest first; of a URL the password by itself, too, and of an http URL the user. */
export function secretsOf(settings: Settings): string[] {
  const texts = [settings, ...settings.sinks.map(sink => sink.settings)].flatMap(one =>
    settingsOf(one.constructor as SettingsClass).flatMap(({ property, secret }) =>
      secret ? textsIn(one[property as keyof typeof one]) : [],
    ),
  );
  return [...new Set(texts)].filter(text => text.length >= shortest).sort((one, other) => other.length - one.length);
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(textsIn);
  if (typeof value !== 'string') return [];
  const url = URL.parse(value);
  if (!url) return [value];
  const parts = [url.password, ...(url.protocol.startsWith('http') ? [url.username] : [])];
  return [value, ...parts, ...parts.map(unescape)];
}
