import { Injectable } from '@nestjs/common';
import { Clock } from '../process/clock.js';
import { Log } from '../process/log.js';

/**
 * Why a webhook was rejected. `app`: its SdkAppid is not ours; `unsigned`: it has no Sign; `clock`: its RequestTime is too far from our
 * clock; `signature`: its Sign matches none of our tokens, or Sign or RequestTime is malformed.
 */
export const rejectionCauses = ['app', 'unsigned', 'clock', 'signature', 'too_large', 'invalid', 'unavailable'] as const;
export type RejectionCause = (typeof rejectionCauses)[number];

/** What is wrong with a webhook. */
export interface Fault {
  cause: RejectionCause;
  /** Of an invalid webhook, the rule that it breaks; it repeats nothing of the webhook. */
  rule?: string;
  /** How far RequestTime was ahead of our clock; `null` if it was missing, malformed or irrelevant. */
  secondsAhead: number | null;
}

/** A rejected webhook. It is lost: the vendor does not retry. */
export interface Rejection extends Pick<Fault, 'secondsAhead' | 'rule'> {
  /** The result label in metrics, or `not_found` or `broken_off`, which metrics do not count and which have no cause. */
  result: string;
  cause: RejectionCause | null;
  /** Where a webhook went that came to another path than ours. */
  path?: string;
  /** The peer of the connection. Behind a proxy this is the proxy, since anyone can forge X-Forwarded-For. */
  address: string;
}

const minuteMs = 60_000;
/** Further addresses are not counted. */
const maxAddresses = 100;

interface Period {
  endsAt: number;
  count: number;
  addresses: Set<string>;
  latest: Rejection;
}

/** Logs rejected webhooks: the first of each result and cause at once, then a summary every minute until a minute passes without any. */
@Injectable()
export class Rejections {
  /** Counts since the process started. */
  readonly counts: Partial<Record<RejectionCause, number>> = {};
  private firstAt: number | null = null;
  private readonly periods = new Map<string, Period>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly log: Log,
    private readonly clock: Clock,
  ) {}

  add(rejection: Rejection): void {
    const { result, cause, address } = rejection;
    if (cause !== null) {
      this.counts[cause] = (this.counts[cause] ?? 0) + 1;
      this.firstAt ??= this.clock.monotonic();
    }
    const kind = `${result} ${cause}`;
    const period = this.periods.get(kind);
    if (!period) {
      this.log.warn('a webhook was rejected and is lost', rejection);
      this.periods.set(kind, this.newPeriod(rejection));
      return;
    }
    Object.assign(period, { count: period.count + 1, latest: rejection });
    if (period.addresses.size < maxAddresses) period.addresses.add(address);
  }

  /** When, on the monotonic clock, the first was counted since the last call; `null` if none was. */
  takeFirst(): number | null {
    const at = this.firstAt;
    this.firstAt = null;
    return at;
  }

  /** Call often; logs what is due. @param all also logs periods whose minute is not over */
  logSummaries(all = false): void {
    for (const [kind, { endsAt, count, addresses, latest }] of this.periods) {
      if (!all && this.clock.monotonic() < endsAt) continue;
      if (count === 0) this.periods.delete(kind);
      else {
        addresses.delete(latest.address);
        this.log.warn('webhooks were rejected and are lost; of these the latest', { count, ...latest, otherAddresses: addresses.size });
        this.periods.set(kind, this.newPeriod(latest));
      }
    }
  }

  private newPeriod(latest: Rejection): Period {
    return { endsAt: this.clock.monotonic() + minuteMs, count: 0, addresses: new Set(), latest };
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.logSummaries(), 1000).unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
    this.logSummaries(true);
  }
}
