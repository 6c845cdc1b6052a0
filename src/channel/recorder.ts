import { setImmediate as nextTurn } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { faultOf } from '../database/errors.js';
import { groupLimits } from '../database/limits.js';
import { newestArrival } from '../database/arrival-times.js';
import type { Trx } from '../database/tables.js';
import { Enqueuer } from '../delivery/enqueue.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { Arrivals } from './arrivals.js';
import { nextGroup } from './group.js';
import type { InboundWebhook } from './inbound-webhook.js';
import { type Recorded, recordGroup } from './record.js';

/** Nothing could keep the webhook in time. */
export class Unavailable extends Error {}

/** The database takes others, but not this one. */
export class Unstorable extends Unavailable {}

/** How often a transaction that lost against another one is tried again. */
export const conflictsBorne = 3;

/** The longest time that a group waits for others to join. */
const gatherMs = 5;

const notSince = 'the database has not answered since the start';

interface Waiting extends PromiseWithResolvers<Recorded> {
  webhook: InboundWebhook;
  /** Nobody waits for it any more. */
  late: boolean;
}

/**
 * Keeps webhooks: those that arrive while a transaction is in flight go together into the next one (group commit). A promise that
 * resolves means that the change, and what every sink must still get, are on disk.
 */
@Injectable()
export class Recorder {
  private waiting: Waiting[] = [];
  private busy = false;
  private arrivals: Arrivals | null = null;

  constructor(
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly enqueuer: Enqueuer,
    private readonly events: EngineEvents,
  ) {}

  /** @throws Unavailable if the webhook was not kept within `timeoutMs`; it may still be kept afterwards if its group was in flight */
  record(webhook: InboundWebhook, timeoutMs: number): Promise<Recorded> {
    const one: Waiting = { webhook, late: false, ...Promise.withResolvers<Recorded>() };
    const timer = setTimeout(() => {
      one.late = true;
      one.reject(new Unavailable('the database did not answer in time'));
    }, timeoutMs);
    this.waiting.push(one);
    if (!this.busy) void this.work();
    return one.promise.finally(() => clearTimeout(timer));
  }

  private async work(): Promise<void> {
    this.busy = true;
    while (this.waiting.length > 0) {
      await this.gather();
      const wanted = this.waiting.filter(one => !one.late);
      const { group, rest } = nextGroup(wanted, this.enqueuer.sinkCount);
      this.waiting = rest;
      if (group.length > 0) await this.keep(group);
    }
    this.busy = false;
  }

  /** Waits as long as each turn of the event loop brings more, since one fsync serves them all; a lone webhook waits for one empty turn. */
  private async gather(): Promise<void> {
    const until = performance.now() + gatherMs;
    for (let had = 0; had < this.waiting.length && this.waiting.length < groupLimits.webhooks && performance.now() < until;) {
      had = this.waiting.length;
      await nextTurn();
    }
  }

  private async keep(group: Waiting[]): Promise<void> {
    try {
      const results = await this.commit(group.map(({ webhook }) => webhook));
      for (const [index, one] of group.entries()) {
        const result = results[index]!;
        if (result instanceof Error) this.events.emit('degraded', 'recording', result);
        if (result instanceof Error) one.reject(new Unstorable('the database refuses this webhook'));
        else one.resolve(result);
      }
    } catch (error) {
      this.events.emit('degraded', 'recording', error as Error);
      for (const one of group) one.reject(new Unavailable(this.database.ready ? 'the database failed' : notSince));
    }
  }

  /**
   * Records webhooks that were kept elsewhere until now, a group a transaction; none only asks whether the database takes any.
   * @param onGroup awaited after each group
   * @returns those that the database will never take
   * @throws whatever the database says
   */
  async take(webhooks: readonly InboundWebhook[], onGroup: () => Promise<void> = async () => undefined): Promise<InboundWebhook[]> {
    if (webhooks.length === 0) await this.commit([]);
    const refused: InboundWebhook[] = [];
    for (let left = webhooks.map(webhook => ({ webhook })); left.length > 0; await onGroup()) {
      const { group, rest } = nextGroup(left, this.enqueuer.sinkCount);
      const results = await this.commit(group.map(({ webhook }) => webhook));
      for (const [index, { webhook }] of group.entries()) if (results[index] instanceof Error) refused.push(webhook);
      left = rest;
    }
    return refused;
  }

  /** One transaction; where it is the data that the database refuses, one for each half, so that the others are kept. */
  private async commit(webhooks: readonly InboundWebhook[], conflictsLeft = conflictsBorne): Promise<(Recorded | Error)[]> {
    if (!this.database.ready) throw new Unavailable(notSince);
    try {
      if (webhooks.length === 0) return (await this.database.ping(), []);
      const { results, afterCommit } = await this.database.kysely
        .transaction()
        .execute(async trx => recordGroup(this.database, this.enqueuer, trx, await this.timed(trx, webhooks), this.clock.now()));
      this.events.emit('kept', webhooks);
      // Nobody waits for it: what is committed is recorded, and a lease that nobody took ends by itself.
      void afterCommit();
      return results;
    } catch (error) {
      const fault = faultOf(error);
      if (fault === 'conflict' && conflictsLeft > 0) return this.commit(webhooks, conflictsLeft - 1);
      // A bug of ours, too, is met by some webhooks and not by others.
      if (fault !== 'data' && fault !== 'bug') throw error;
      if (webhooks.length === 1) return [error as Error];
      const middle = webhooks.length >> 1;
      return [...(await this.commit(webhooks.slice(0, middle))), ...(await this.commit(webhooks.slice(middle)))];
    }
  }

  /** Caps an EventTime that was estimated: at the database's clock, or for the embedded store at what the newest arrivals make plausible. Ours may be wrong. */
  private async timed(trx: Trx, webhooks: readonly InboundWebhook[]): Promise<InboundWebhook[]> {
    const { embedded } = this.database;
    const sure = embedded && !this.arrivals ? await newestArrival(trx, null) : null;
    const newest = embedded && !this.arrivals ? (sure ?? (await newestArrival(trx, 'received_at'))) : null;
    this.arrivals ??= new Arrivals(newest, () => performance.now(), sure !== null);
    const now = this.clock.now();
    return webhooks.map((webhook, index) => {
      const { receivedAt, eventTimeEstimated: estimated } = webhook;
      const believed = embedded ? this.arrivals!.believed(receivedAt, estimated ? null : webhook.eventTime) : Math.min(receivedAt, now);
      if (!estimated || receivedAt === believed) return webhook;
      return { ...webhook, eventTime: embedded ? believed : now - webhooks.length + index };
    });
  }
}
