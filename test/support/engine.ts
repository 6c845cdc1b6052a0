import { v7 as uuid } from 'uuid';
import type { InboundWebhook } from '../../src/channel/inbound-webhook.js';
import { Recorder } from '../../src/channel/recorder.js';
import type { Database } from '../../src/database/database.js';
import { Enqueuer } from '../../src/delivery/enqueue.js';
import type { WorkerHost } from '../../src/delivery/worker.js';
import { SharedClock } from '../../src/process/clock.js';
import { EngineEvents } from '../../src/process/engine-events.js';
import { Log } from '../../src/process/log.js';
import { TurnBudget } from '../../src/process/turn-budget.js';
import { byWebhook } from './vendor.js';

/** Events of an engine that nothing may fail. */
export function soundEvents(): EngineEvents {
  return new EngineEvents().on('degraded', (_, error) => {
    throw error;
  });
}

/** A recorder by itself: what it enqueues is for a claim, unless the enqueuer has workers. */
export function recorderAt(
  database: Database,
  now: () => number,
  events: EngineEvents = soundEvents(),
  enqueuer: Enqueuer = new Enqueuer(database, SharedClock.by(now), events),
): Recorder {
  return new Recorder(database, SharedClock.by(now), enqueuer, events);
}

/** A new webhook that changed a channel at this time, and arrived then. */
export function changedAt(at: number, channelId: string, fields: InboundWebhook['fields']): InboundWebhook {
  const key = { id: uuid(), sdkAppId: '1', channelId, command: 'changed', operator: null } as const;
  const times = { eventTime: at, eventTimeEstimated: false, receivedAt: at };
  return { ...key, ...byWebhook, ...times, fields, body: Buffer.from('{}') };
}

/** A process that always has time for its workers, and whose database serves them. */
export const host: WorkerHost = {
  starts: new TurnBudget(12),
  giveWay: () => Promise.resolve(),
  reportFailure: (_, error) => {
    if (error) throw error;
  },
};

/** A log that hands its lines to `told`. */
export function logTo(told: (message: string, fields: Record<string, unknown>) => void = () => undefined): Log {
  return new Log('debug', Date.now, line => {
    const { level: _, time: __, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
    told(msg as string, fields);
  });
}

export { byWebhook };
