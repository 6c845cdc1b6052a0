import { examine } from './settings.js';
import { openSinks } from './sinks.js';
import { plain } from './table.js';
import { print, printJson, printTable } from './terminal.js';

/** Prints all mistakes and warnings of the settings. */
export async function check({ json }: { json?: true }): Promise<void> {
  const { settings, mistakes } = examine();
  const { warnings } = settings;
  if (mistakes.length === 0) for (const { close } of await openSinks(settings, message => warnings.push(message))) await close();
  if (mistakes.length > 0) process.exitCode = 78;
  if (json) return printJson({ mistakes, warnings });
  const rows = [...mistakes.map(message => ({ what: 'mistake', message })), ...warnings.map(message => ({ what: 'warning', message }))];
  if (rows.length > 0) printTable(rows, 'what message');
  if (mistakes.length === 0)
    print(plain(`The settings can be used. Sinks: ${settings.sinks.map(({ name, type }) => `${name} (${type.type})`).join(', ')}`));
}
