import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { parse } from 'yaml';
import { labelsOfMetrics } from './support/metrics.ts';

const read = (path: string): string => readFileSync(join(import.meta.dirname, '..', path), 'utf8');

interface Rule {
  alert?: string;
  record?: string;
  expr: string;
  annotations?: { summary: string; runbook: string };
}
const { groups } = parse(read('deploy/monitoring/alerts.yaml')) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap(group => group.rules);
const alerts = rules.filter(({ alert }) => alert !== undefined);
const recorded = rules.flatMap(({ record }) => record ?? []);
const expressions = [
  ...rules.map(({ expr }) => expr),
  ...[...read('deploy/monitoring/dashboard.json').matchAll(/"expr": ("(?:[^"\\]|\\.)*")/g)].map(([, text]) => JSON.parse(text!) as string),
];

const labels = labelsOfMetrics();
/** What Prometheus adds by itself. */
const ofTargets = ['namespace', 'job', 'instance', 'pod'];

/** Nodes of one kind, as they are written. */
function partsOf(expression: string, kind: string): string[] {
  const text = expression.replaceAll('$__rate_interval', '5m');
  const found: string[] = [];
  parser.parse(text).iterate({
    enter: node => {
      if (node.type.isError) found.push(`error at ${node.from} of ${text}`);
      else if (node.name === kind) found.push(text.slice(node.from, node.to));
    },
  });
  return found;
}

test('there are rules and a dashboard', () => {
  expect(alerts.length).toBeGreaterThan(10);
  expect(expressions.length).toBeGreaterThan(rules.length + 15);
});

test.each(expressions)('%s asks for metrics and labels that there are', expression => {
  const selectors = partsOf(expression, 'VectorSelector');
  expect(selectors.length).toBeGreaterThan(0);
  for (const selector of selectors) {
    const [name] = /^[\w:]+/.exec(selector)!;
    if (recorded.includes(name)) continue;
    expect([...labels.keys()]).toContain(name);
    const asked = [...selector.matchAll(/([a-z_]+)\s*(?:=~|!=|!~|=)/g)].map(([, label]) => label!);
    expect(asked.filter(label => !labels.get(name)!.includes(label) && !ofTargets.includes(label))).toEqual([]);
  }
});

test('every alert fires in a test, and stays quiet in one', () => {
  interface Expected {
    alertname: string;
    exp_alerts: object[];
  }
  const { tests } = parse(read('deploy/monitoring/alerts.test.yaml')) as { tests: { alert_rule_test: Expected[] }[] };
  const tried = tests.flatMap(({ alert_rule_test: expected }) => expected);
  for (const { alert } of alerts) {
    const own = tried.filter(({ alertname }) => alertname === alert);
    expect([alert, own.some(({ exp_alerts: some }) => some.length > 0), own.some(({ exp_alerts: some }) => some.length === 0)]).toEqual([
      alert,
      true,
      true,
    ]);
  }
});

test('every alert has its entry in the runbook, and every entry its alert', () => {
  const entries = [...read('docs/runbook.md').matchAll(/^### (ChannelSync\w+)$/gm)].map(([, name]) => name!);
  expect(entries.toSorted((one, other) => one.localeCompare(other))).toEqual(
    alerts.map(({ alert }) => alert!).toSorted((one, other) => one.localeCompare(other)),
  );
  for (const { alert, annotations } of alerts) expect(annotations!.runbook).toBe(`docs/runbook.md#${alert!.toLowerCase()}`);
});
