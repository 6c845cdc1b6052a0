import { Registry, collectDefaultMetrics } from 'prom-client';
import { Metrics } from '../../src/management/metrics.js';

/** The labels of every metric by the name that it is asked for by; a histogram's three series count as its own. */
export function labelsOfMetrics(): Map<string, string[]> {
  // Nothing is collected, so what the gauges would ask is not needed.
  const { registry } = new Metrics(...([{}, {}, {}, { apps: [] }] as unknown as ConstructorParameters<typeof Metrics>));
  const ofProcess = new Registry();
  collectDefaultMetrics({ register: ofProcess });
  type Known = { name: string; labelNames: string[]; buckets?: number[] };
  const metrics = [registry, ofProcess].flatMap(one => one.getMetricsAsArray() as unknown as Known[]);
  return new Map(
    metrics.flatMap(({ name, labelNames, buckets }): [string, string[]][] => {
      if (!buckets) return [[name, labelNames]];
      return [
        [name, labelNames],
        [`${name}_bucket`, [...labelNames, 'le']],
        [`${name}_count`, labelNames],
        [`${name}_sum`, labelNames],
      ];
    }),
  );
}
