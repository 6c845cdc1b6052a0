import { EventEmitter } from 'node:events';
import { Injectable } from '@nestjs/common';

/** Parts of the engine that keep retrying while the database fails. */
export type EnginePart = 'recording' | 'delivery' | 'maintenance' | 'clock' | 'index jobs' | 'alerts' | 'checks' | 'comparisons';

export interface AttemptEnd {
  sink: string;
  deliveryId: string;
  changeId: string;
  outcome: 'delivered' | 'retry' | 'refused' | 'misconfigured' | 'cancelled';
  durationMs: number;
  /** Time since the attempt started; longer than `durationMs` if its result waited to be settled. */
  startedMsAgo: number;
  tries: number;
  reason: string | null;
}

export interface SinkHealth {
  state: 'ok' | 'misconfigured' | 'down';
  reason: string | null;
  advice: string | null;
}

interface Events {
  attempt: [end: AttemptEnd];
  /** A change reached a sink for the first time; `afterMs` since its webhook arrived. */
  delivered: [sink: string, afterMs: number];
  /** Deliveries of a sink reached a final state. */
  ended: [sink: string, outcome: 'delivered' | 'superseded' | 'parked' | 'discarded', count: number];
  /** A sink's state has changed. */
  state: [sink: string, health: SinkHealth];
  /** Webhooks were recorded. */
  recorded: [webhooks: readonly { sdkAppId: string; receivedAt: number }[]];
  /** A webhook of one of our apps was rejected. */
  rejected: [sdkAppId: string, result: 'unavailable' | 'too_large' | 'invalid' | 'unauthorized'];
  /** A request to the vendor's API has ended with this code. */
  'vendor request': [sdkAppId: string, code: string];
  /** Channels of an app were compared with the vendor. */
  compared: [sdkAppId: string, result: 'equal' | 'corrected' | 'destroyed' | 'imported' | 'failed', count: number];
  /** These sinks may have due work; `null`: any sink may. */
  due: [sinks: Iterable<number> | null];
  /** A part started failing because of the database and keeps retrying, or has recovered. */
  degraded: [part: EnginePart, error: Error];
  recovered: [part: EnginePart];
}

/** Events of the engine, for workers (`due`), log and metrics. */
@Injectable()
export class EngineEvents extends EventEmitter<Events> {
  /** @param error why the part fails, or `null` once it has recovered */
  report(part: EnginePart, error: Error | null): void {
    if (error) this.emit('degraded', part, error);
    else this.emit('recovered', part);
  }
}
