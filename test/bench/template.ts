import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Bench } from './measures.ts';
import { median } from './load.ts';

const atMostMicros = 50;

/** What a template costs a delivery, by the largest of the recipes: CPU time of rendering it and reading it back as JSON, beside the body without one. */
export async function template({ report, quick }: Bench): Promise<void> {
  const built = (path: string): string => new URL(`../../dist/sinks/crm-webhook/${path}`, import.meta.url).href;
  const { bodyTemplate } = (await import(built('templates.js'))) as typeof import('../../src/sinks/crm-webhook/templates.ts');
  const { samples } = (await import(built('samples.js'))) as typeof import('../../src/sinks/crm-webhook/samples.ts');
  const [usual] = samples as [(typeof samples)[0]];
  const [first] = usual.event.data.changes;
  // Mostly one field changes.
  const sample = { ...usual, event: { ...usual.event, data: { ...usual.event.data, changes: [first!] } } };
  const micros = (work: () => unknown): number => {
    const times = quick ? 5000 : 20_000;
    for (let count = 0; count < times; count++) work();
    const before = process.threadCpuUsage();
    for (let count = 0; count < times; count++) work();
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / times;
  };
  for (const name of ['hubspot', 'salesforce', 'feishu', 'wecom', 'teams', 'n8n']) {
    const text = readFileSync(fileURLToPath(new URL(`../../docs/recipes/templates/${name}.liquid`, import.meta.url)), 'utf8');
    const render = bodyTemplate(text, 'application/json');
    const found = [1, 2, 3].map(() => micros(() => render(sample)));
    report.raw.push({ part: 'template', name, micros: found });
    report.add(`template of the recipe ${name}, CPU a delivery`, 'bare', median(found), 'µs', { atMost: atMostMicros });
  }
  report.add('no template, CPU a delivery', 'bare', median([1, 2, 3].map(() => micros(() => JSON.stringify(sample.event)))), 'µs');
}
