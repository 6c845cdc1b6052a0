import { Injectable } from '@nestjs/common';
import { inEnglishOrNull, withoutAnswer } from '../explanations/explanation.js';
import { EngineEvents, type EnginePart } from '../process/engine-events.js';
import { Log } from '../process/log.js';
import { Database } from '../database/database.js';
import { outage } from '../database/outage.js';
import { Metrics } from './metrics.js';

/** Logs the events of the engine and counts them in metrics. */
@Injectable()
export class EngineLog {
  constructor(events: EngineEvents, log: Log, metrics: Metrics, { embedded }: Database) {
    const outages = new Map<EnginePart, (error: Error | null) => void>();
    events
      .on('degraded', (part, error) => {
        const created = outage(
          fields => log.error(`${part}: database error; retrying`, fields),
          // With PostgreSQL the intake logs the recovery of recordings, once the spool is empty.
          () => (embedded || part !== 'recording') && log.info(`${part}: the database works again`),
        );
        if (!outages.has(part)) outages.set(part, created);
        outages.get(part)!(error);
      })
      .on('recovered', part => outages.get(part)?.(null))
      .on('recorded', () => embedded && outages.get('recording')?.(null))
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
