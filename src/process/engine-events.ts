import { EventEmitter } from 'node:events';
import { Injectable } from '@nestjs/common';

/** What goes on trying while the database fails it. */
export type EnginePart = 'recording' | 'delivery' | 'maintenance' | 'clock' | 'index jobs' | 'alerts' | 'checks' | 'comparisons';

/** One attempt that has ended. */
export interface AttemptEnd {
  sink: string;
  deliveryId: string;
  changeId: string;
  outcome: 'delivered' | 'retry' | 'refused' | 'misconfigured' | 'cancelled';
  durationMs: number;
  /** How long ago it began; its answer may have waited to be settled. */
  startedMsAgo: number;
  tries: number;
  reason: string | null;
}

/** How a sink is. */
export interface SinkHealth {
  state: 'ok' | 'misconfigured' | 'down';
  reason: string | null;
  advice: string | null;
}

interface Events {
  attempt: [end: AttemptEnd];
  /** A sink has a change for the first time, so long after its webhook arrived. */
  delivered: [sink: string, afterMs: number];
  /** So many deliveries of a sink have ended. */
  ended: [sink: string, outcome: 'delivered' | 'superseded' | 'parked' | 'discarded', count: number];
  /** A sink is in another state than before. */
  state: [sink: string, health: SinkHealth];
  /** These webhooks have been kept. */
  kept: [webhooks: readonly { sdkAppId: string; receivedAt: number }[]];
  /** A webhook of an app of ours was lost, with this result. */
  rejected: [sdkAppId: string, result: 'unavailable' | 'too_large' | 'invalid' | 'unauthorized'];
  /** A call of the vendor's API has ended with this code. */
  'vendor request': [sdkAppId: string, code: string];
  /** So many channels of an app were compared with the vendor. */
  compared: [sdkAppId: string, result: 'equal' | 'corrected' | 'destroyed' | 'imported' | 'failed', count: number];
  /** These sinks have something to do; `null`: any may have. */
  due: [sinks: Iterable<number> | null];
  /** The database failed a part, which goes on trying; after that, it serves it again. */
  degraded: [part: EnginePart, error: Error];
  recovered: [part: EnginePart];
}

/** What the engine tells whoever wants to know: the workers of what became due, log and metrics of the rest. */
@Injectable()
export class EngineEvents extends EventEmitter<Events> {
  /** For what goes on trying: its failure, or `null` once it works again. */
  tell(part: EnginePart, error: Error | null): void {
    if (error) this.emit('degraded', part, error);
    else this.emit('recovered', part);
  }
}
