import { type Clean, cleaner } from '../../src/settings/cleaner.ts';
import { secretsOf } from '../../src/settings/secrets.ts';
import type { SinkSettings } from '../../src/sinks/settings.ts';
import { noProxies } from './proxy.ts';

/** Takes the secrets of one sink's settings out of answers, as the service does with those of all. */
export function cleanerOf(settings: SinkSettings): Clean {
  return cleaner(secretsOf({ sinks: [{ settings }], apps: [], proxies: noProxies }));
}
