import { Injectable } from '@nestjs/common';
import { Clock } from '../process/clock.js';
import { Log } from '../process/log.js';
/**
 * Why a webhook is lost, as far as it tells. `app`: its SdkAppid is not ours; `unsigned`: it has no Sign; `clock`: its RequestTime is too far from our clock;
 * `signature`: its Sign is of no token of ours.
 */
export const rejectionCauses = ['app', 'unsigned', 'clock', 'signature', 'too_large', 'invalid', 'unavailable'] as const;
export type RejectionCause = (typeof rejectionCauses)[number];

/** What is wrong with a webhook. */
export interface Fault {
  cause: RejectionCause;
  /** How far its RequestTime was ahead of our clock; `null` where it was none, or does not matter. */
  secondsAhead: number | null;
}

/** A webhook that is lost: the vendor does not send it again. */
export interface Rejection extends Pick<Fault, 'secondsAhead'> {
  /** As metrics call it; `not_found` and `broken_off`, which they do not count, have no cause. */
  result: string;
  cause: RejectionCause | null;
  /** Who was connected: behind a proxy that is the proxy, since anybody can write an X-Forwarded-For. */
  address: string;
}

const minuteMs = 60_000;
/** More addresses than this are not told apart. */
const addressesMost = 100;

interface Story {
  sumUpAt: number;
  count: number;
  addresses: Set<string>;
  latest: Rejection;
}

/** Tells the log of webhooks that are lost: the first of a result at once, then each minute how many more there were, until a minute without. */
@Injectable()
export class Rejections {
  /** How many there were since the start. */
  readonly counts: Partial<Record<RejectionCause, number>> = {};
  private readonly stories = new Map<string, Story>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly log: Log,
    private readonly clock: Clock,
  ) {}

  add(rejection: Rejection): void {
    const { result, cause, address } = rejection;
    if (cause !== null) this.counts[cause] = (this.counts[cause] ?? 0) + 1;
    const story = this.stories.get(result);
    if (!story) {
      this.log.warn('a webhook was rejected and is lost', rejection);
      this.stories.set(result, this.story(rejection));
      return;
    }
    Object.assign(story, { count: story.count + 1, latest: rejection });
    if (story.addresses.size < addressesMost) story.addresses.add(address);
  }

  /** To be called often. @param all also what its minute is not over for */
  sumUp(all = false): void {
    for (const [result, { sumUpAt, count, addresses, latest }] of this.stories) {
      if (!all && this.clock.monotonic() < sumUpAt) continue;
      if (count === 0) this.stories.delete(result);
      else {
        addresses.delete(latest.address);
        this.log.warn('webhooks were rejected and are lost; of these the latest', { count, ...latest, otherAddresses: addresses.size });
        this.stories.set(result, this.story(latest));
      }
    }
  }

  private story(latest: Rejection): Story {
    return { sumUpAt: this.clock.monotonic() + minuteMs, count: 0, addresses: new Set(), latest };
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.sumUp(), 1000).unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
    this.sumUp(true);
  }
}
