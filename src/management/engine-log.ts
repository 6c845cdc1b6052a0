import { Injectable } from '@nestjs/common';
import { inEnglishOrNull, withoutAnswer } from '../explanations/explanation.js';
import { EngineEvents, type EnginePart } from '../process/engine-events.js';
import { Log } from '../process/log.js';
import { outage } from '../database/outage.js';
import { Metrics } from './metrics.js';

/** The log lines for the start and, where there is one, the end of an outage. */
const texts: Record<EnginePart, [begins: string, ends?: string]> = {
  recording: ['the database did not take webhooks'],
  delivery: ['the database fails the workers; they go on trying', 'the database serves the workers again'],
  maintenance: ['the database fails the maintenance; it is tried again', 'the database serves the maintenance again'],
  clock: ['the database does not tell its time; trying again until it does', 'the database tells its time again'],
  'index jobs': [
    'the database fails the jobs of search indices; they are tried again',
    'the database serves the jobs of search indices again',
  ],
  checks: ['the database fails the checks of sinks; they are tried again', 'the database serves the checks of sinks again'],
  comparisons: [
    'the database fails the comparisons with Tencent; they are tried again',
    'the database serves the comparisons with Tencent again',
  ],
  alerts: ['the database fails the alerts; they are tried again', 'the database serves the alerts again'],
};

/** Writes what the engine tells into log and metrics. */
@Injectable()
export class EngineLog {
  constructor(events: EngineEvents, log: Log, metrics: Metrics) {
    const outages = new Map<EnginePart, (error: Error | null) => void>();
    for (const [part, [begins, ends]] of Object.entries(texts) as [EnginePart, [string, string?]][])
      outages.set(
        part,
        outage(
          fields => log.error(begins, fields),
          () => ends !== undefined && log.info(ends),
        ),
      );
    events
      .on('degraded', (part, error) => outages.get(part)!(error))
      .on('recovered', part => outages.get(part)!(null))
      .on('ended', (sink, outcome, count) => metrics.deliveries.inc({ sink, outcome }, count))
      .on('delivered', (sink, afterMs) => metrics.deliverySeconds.observe({ sink }, afterMs / 1000))
      .on('compared', (app, result, count) => metrics.compared.inc({ app, result }, count))
      .on('vendor request', (app, code) => metrics.vendorRequests.inc({ app, code }))
      .on('attempt', end => {
        metrics.attemptSeconds.observe({ sink: end.sink, outcome: end.outcome }, end.durationMs / 1000);
        log.debug('delivery attempted', end);
      })
      .on('state', (sink, { state, reason, advice }) => {
        if (state === 'ok') log.info('sink has recovered', { sink });
        else {
          const why = { reason: reason && withoutAnswer(reason), advice: inEnglishOrNull(advice) };
          log.warn('sink is stopped; it is probed until it recovers', { sink, state, ...why });
        }
      });
  }
}
