import { DashboardBuilder, DatasourceVariableBuilder, QueryVariableBuilder, RowBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeSeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

const source = { type: 'prometheus', uid: '${datasource}' };
const metric = (name: string, labels = ''): string => `channel_sync_${name}{namespace=~"$namespace"${labels && `,${labels}`}}`;
const rate = (name: string, labels = ''): string => `rate(${metric(name, labels)}[$__rate_interval])`;
/** Of a histogram, all processes together. */
const quantile = (q: number, name: string, by = '', labels = ''): string =>
  `histogram_quantile(${q}, sum by (le${by && `, ${by}`}) (${rate(`${name}_bucket`, labels)}))`;

type Queries = [legend: string, expression: string][];

function withQueries<T extends TimeSeriesBuilder | StatBuilder>(
  panel: T,
  title: string,
  description: string,
  unit: string,
  queries: Queries,
): T {
  panel.title(title).description(description).unit(unit).datasource(source).height(8);
  for (const [index, [legend, expression]] of queries.entries())
    panel.withTarget(new DataqueryBuilder().refId('AB'[index]!).expr(expression).legendFormat(legend));
  return panel;
}
const stat = (title: string, description: string, unit: string, ...queries: Queries): StatBuilder =>
  withQueries(new StatBuilder().span(6), title, description, unit, queries);
const graph = (title: string, description: string, unit: string, ...queries: Queries): TimeSeriesBuilder =>
  withQueries(new TimeSeriesBuilder().span(12).min(0), title, description, unit, queries);

/** The Grafana dashboard, as its JSON. */
export function dashboard(): string {
  const built = new DashboardBuilder('channel-sync')
    .uid('channel-sync')
    .tags(['channel-sync'])
    .refresh('1m')
    .time({ from: 'now-6h', to: 'now' })
    .withVariable(new DatasourceVariableBuilder('datasource').type('prometheus'))
    .withVariable(
      new QueryVariableBuilder('namespace')
        .datasource(source)
        .query('label_values(channel_sync_build_info, namespace)')
        .includeAll(true)
        .allValue('.*')
        .multi(true),
    )
    .withRow(new RowBuilder('At a glance'))
    .withPanel(stat('Processes', 'Running processes by release', 'none', ['{{version}}', `count by (version) (${metric('build_info')})`]))
    .withPanel(
      stat('Last webhook', 'When the last webhook was kept', 'dateTimeFromNow', [
        '',
        `1000 * max(${metric('last_webhook_timestamp_seconds')})`,
      ]),
    )
    .withPanel(stat('Spooled', 'Webhooks that wait in the spool for PostgreSQL', 'none', ['', `sum(${metric('spooled')})`]))
    .withPanel(
      stat('Failed changes', 'Deliveries that wait for a person', 'none', ['', `sum(max by (sink, reason) (${metric('parked')}))`]),
    )
    .withRow(new RowBuilder('Webhooks'))
    .withPanel(graph('Webhooks', 'By what became of them', 'reqps', ['{{result}}', `sum by (result) (${rate('webhooks_total')})`]))
    .withPanel(
      graph(
        'Time to answer',
        'The vendor waits 2 s; the objective is 1.5 s',
        's',
        ['p50', quantile(0.5, 'webhook_answer_seconds')],
        ['p99', quantile(0.99, 'webhook_answer_seconds')],
      ),
    )
    .withRow(new RowBuilder('Sinks'))
    .withPanel(
      graph('State', '1 where a sink is in a state that needs attention', 'none', [
        '{{sink}} {{state}}',
        `max by (sink, state) (${metric('sink_state', 'state=~"retrying|misconfigured|down|paused"')}) > 0`,
      ]),
    )
    .withPanel(graph('Lag', 'Age of the oldest queued delivery', 's', ['{{sink}}', `max by (sink) (${metric('lag_seconds')})`]))
    .withPanel(graph('Queued', 'Deliveries that are pending', 'none', ['{{sink}}', `max by (sink) (${metric('pending')})`]))
    .withPanel(
      graph('Failed', 'Deliveries that wait for a person', 'none', ['{{sink}} {{reason}}', `max by (sink, reason) (${metric('parked')})`]),
    )
    .withPanel(
      graph('Deliveries', 'That ended, by outcome', 'ops', [
        '{{sink}} {{outcome}}',
        `sum by (sink, outcome) (${rate('deliveries_total')})`,
      ]),
    )
    .withPanel(
      graph('Time to deliver (p99)', 'From the webhook to delivered; the objective is 60 s', 's', [
        '{{sink}}',
        quantile(0.99, 'delivery_seconds', 'sink'),
      ]),
    )
    .withPanel(
      graph('Attempts', 'By outcome', 'ops', ['{{sink}} {{outcome}}', `sum by (sink, outcome) (${rate('attempt_seconds_count')})`]),
    )
    .withPanel(
      graph('Time of attempts (p99)', 'That the sink took', 's', [
        '{{sink}}',
        quantile(0.99, 'attempt_seconds', 'sink', 'outcome!="cancelled"'),
      ]),
    )
    .withRow(new RowBuilder('Processes'))
    .withPanel(
      graph('CPU', 'Of each process; 1 is a whole core', 'none', [
        '{{instance}}',
        `rate(process_cpu_seconds_total[$__rate_interval]) and on (instance, job) ${metric('build_info')}`,
      ]),
    )
    .withPanel(
      graph('Memory', 'Resident, of each process', 'bytes', [
        '{{instance}}',
        `process_resident_memory_bytes and on (instance, job) ${metric('build_info')}`,
      ]),
    )
    .build();
  return `${JSON.stringify(built, null, 2)}\n`;
}
