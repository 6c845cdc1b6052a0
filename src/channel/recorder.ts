import { setImmediate as nextTurn } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { faultOf } from '../database/errors.js';
import { groupLimits } from '../database/limits.js';
import { latestArrival } from '../database/arrival-times.js';
import type { Trx } from '../database/tables.js';
import { Enqueuer } from '../delivery/enqueue.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { Arrivals } from './arrivals.js';
import { nextGroup } from './group.js';
import type { InboundWebhook } from './inbound-webhook.js';
import { type Recorded, recordGroup } from './record.js';

/** The webhook could not be stored in time. */
export class Unavailable extends Error {}

/** The database works but rejects this webhook. */
export class Unstorable extends Unavailable {}

export const maxConflictRetries = 3;

const gatherMs = 5;

const notSince = 'the database has not answered since the start';

interface Waiting extends PromiseWithResolvers<Recorded> {
  webhook: InboundWebhook;
  /** Timed out: the caller has been answered. */
  late: boolean;
}

/**
 * Stores webhooks by group commit: those that arrive while a transaction is in flight share the next one. Once the promise resolves,
 * the change and its deliveries are on disk.
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

  /** @throws Unavailable if the webhook was not stored within `timeoutMs`; a group already in flight may still store it afterwards */
  record(webhook: InboundWebhook, timeoutMs: number): Promise<Recorded> {
    const item: Waiting = { webhook, late: false, ...Promise.withResolvers<Recorded>() };
    const timer = setTimeout(() => {
      item.late = true;
      item.reject(new Unavailable('the database did not answer in time'));
    }, timeoutMs);
    this.waiting.push(item);
    if (!this.busy) void this.work();
    return item.promise.finally(() => clearTimeout(timer));
  }

  private async work(): Promise<void> {
    this.busy = true;
    while (this.waiting.length > 0) {
      await this.gather();
      const pending = this.waiting.filter(item => !item.late);
      const { group, rest } = nextGroup(pending, this.enqueuer.sinkCount);
      this.waiting = rest;
      if (group.length > 0) await this.recordWaiting(group);
    }
    this.busy = false;
  }

  /** Waits while each turn of the event loop brings more, since one fsync serves them all; a single webhook waits for one turn only. */
  private async gather(): Promise<void> {
    const until = performance.now() + gatherMs;
    for (let had = 0; had < this.waiting.length && this.waiting.length < groupLimits.webhooks && performance.now() < until;) {
      had = this.waiting.length;
      await nextTurn();
    }
  }

  private async recordWaiting(group: Waiting[]): Promise<void> {
    try {
      const results = await this.commit(group.map(({ webhook }) => webhook));
      for (const [index, item] of group.entries()) {
        const result = results[index]!;
        if (typeof result === 'string') {
          item.resolve(result);
          continue;
        }
        this.events.emit('degraded', 'recording', result);
        item.reject(new Unstorable('the database refuses this webhook'));
      }
    } catch (error) {
      this.events.emit('degraded', 'recording', error as Error);
      for (const item of group) item.reject(new Unavailable(this.database.ready ? 'the database failed' : notSince));
    }
  }

  /**
   * Records webhooks from the spool, one transaction per group.
   * @param onGroup awaited after each group
   * @returns the webhooks that the database rejects for good
   * @throws the database error if it fails as a whole
   */
  async recordAll(webhooks: readonly InboundWebhook[], onGroup: () => Promise<void> = async () => undefined): Promise<InboundWebhook[]> {
    const refused: InboundWebhook[] = [];
    for (let left = webhooks.map(webhook => ({ webhook })); left.length > 0; await onGroup()) {
      const { group, rest } = nextGroup(left, this.enqueuer.sinkCount);
      const results = await this.commit(group.map(({ webhook }) => webhook));
      for (const [index, { webhook }] of group.entries()) if (typeof results[index] !== 'string') refused.push(webhook);
      left = rest;
    }
    return refused;
  }

  /** Checks that webhooks can be recorded. @throws if not */
  async ping(): Promise<void> {
    if (!this.database.ready) throw new Unavailable(notSince);
    await this.database.ping();
  }

  /** Commits in one transaction. If the database rejects the data, it bisects the group so that only the bad webhooks are left out. */
  private async commit(webhooks: readonly InboundWebhook[], conflictsLeft = maxConflictRetries): Promise<(Recorded | Error)[]> {
    if (!this.database.ready) throw new Unavailable(notSince);
    let committed: Awaited<ReturnType<typeof recordGroup>>;
    try {
      committed = await this.database.kysely
        .transaction()
        .execute(async trx => recordGroup(this.database, this.enqueuer, trx, await this.withCappedTimes(trx, webhooks), this.clock.now()));
    } catch (error) {
      const fault = faultOf(error);
      if (fault === 'conflict' && conflictsLeft > 0) return this.commit(webhooks, conflictsLeft - 1);
      // A bug of ours may also be triggered by only some of the webhooks.
      if (fault !== 'data' && fault !== 'bug') throw error;
      if (webhooks.length === 1) return [error as Error];
      const middle = webhooks.length >> 1;
      return [...(await this.commit(webhooks.slice(0, middle))), ...(await this.commit(webhooks.slice(middle)))];
    }
    this.events.emit('recorded', webhooks);
    // Not awaited: the change is recorded, and an unused lease expires by itself.
    void committed.afterCommit();
    return committed.results;
  }

  /** Caps estimated EventTimes, since our clock may be wrong: at the server's clock, or with SQLite near the latest known arrivals. */
  private async withCappedTimes(trx: Trx, webhooks: readonly InboundWebhook[]): Promise<InboundWebhook[]> {
    const { embedded } = this.database;
    const confirmed = embedded && !this.arrivals ? await latestArrival(trx, null) : null;
    const latest = embedded && !this.arrivals ? (confirmed ?? (await latestArrival(trx, 'received_at'))) : null;
    this.arrivals ??= new Arrivals(latest, () => performance.now(), confirmed !== null);
    const now = this.clock.now();
    return webhooks.map((webhook, index) => {
      const { receivedAt, eventTimeEstimated: estimated } = webhook;
      const capped = embedded ? this.arrivals!.clamp(receivedAt, estimated ? null : webhook.eventTime) : Math.min(receivedAt, now);
      if (!estimated || receivedAt === capped) return webhook;
      return { ...webhook, eventTime: embedded ? capped : now - webhooks.length + index };
    });
  }
}
