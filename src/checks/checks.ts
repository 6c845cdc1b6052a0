import { Injectable } from '@nestjs/common';
import { type ExpressionBuilder, sql } from 'kysely';
import { recordAction } from '../database/audit.js';
import { Database } from '../database/database.js';
import type { Tables } from '../database/tables.js';
import { healthAfter, healthColumns } from '../delivery/breaker.js';
import { inEnglish, stored } from '../explanations/explanation.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { Log } from '../process/log.js';
import type { RepeatedTask } from '../process/repeatedly.js';
import { Settings } from '../settings/settings.js';
import { type ServedSink, ServedSinks } from '../sinks/served-sinks.js';
import type { CheckResult } from '../sinks/sink.js';
import { checkTimeoutMs, checkSink } from './check-sink.js';
import { testSink } from './test-sink.js';

const pollIntervalMs = 5000;
/** How often an idle sink is checked, after a good and after a bad check. */
const checkIntervalMs = { good: 600_000, bad: 60_000 };
/** How long after its timeout a check counts as lost, so that another process may run it. */
const graceMs = 5000;
/** Only one of the replicas that start within this time checks a sink. */
const startWindowMs = 3000;

/**
 * Checks each sink at the start, and periodically while it is idle; one replica checks for all. The result is the sink's state until
 * an attempt or another check succeeds, but holds back no delivery. Also runs the checks and tests that people request.
 */
@Injectable()
export class Checks {
  readonly part = 'checks';
  private readonly stopping = new AbortController();
  private started = false;
  /** When this process last finished an attempt at each sink, and when one last succeeded. */
  private readonly attemptedAt = new Map<string, number>();
  private readonly deliveredAt = new Map<string, number>();

  constructor(
    private readonly database: Database,
    private readonly settings: Settings,
    private readonly served: ServedSinks,
    private readonly clock: SharedClock,
    private readonly events: EngineEvents,
    private readonly log: Log,
  ) {
    events.on('attempt', ({ sink, outcome }) => {
      if (outcome === 'cancelled') return;
      this.attemptedAt.set(sink, clock.now());
      if (outcome === 'delivered') this.deliveredAt.set(sink, clock.now());
    });
  }

  works(stop: AbortSignal): RepeatedTask[] {
    stop.addEventListener('abort', () => this.stopping.abort(stop.reason), { once: true });
    return this.served.all.length === 0 ? [] : [{ work: () => this.once(), delayMs: pollIntervalMs }];
  }

  async once(): Promise<void> {
    if (this.started) for (const sink of this.served.all) await this.postpone(sink);
    const claimed = await (this.started ? this.claimDue() : this.claimAtStart()).returning('id').execute();
    const due = new Set(claimed.map(({ id }) => id));
    const checks = this.served.all.filter(({ id }) => due.has(id)).map(sink => this.checkOne(sink, !this.started));
    await Promise.all(checks).catch((error: unknown) => {
      if (!this.stopping.signal.aborted) throw error;
    });
    this.started = true;
  }

  /** Checks a sink at the request of a person, and updates its state at once. @returns `null` if it is not served here */
  async check(name: string): Promise<(CheckResult & { durationMs: number }) | null> {
    const served = this.served.all.find(sink => sink.name === name);
    if (!served) return null;
    const startedAt = this.clock.monotonic();
    await this.update([served]).set(this.claimed(true)).execute();
    const result = await this.checkOne(served, false);
    return { ...result, durationMs: Math.round(this.clock.monotonic() - startedAt) };
  }

  /** Sends a sample change to a sink, ignoring its state, rate and filters; audited. @returns `null` if it is not served here */
  async test(name: string, actor: string) {
    const served = this.served.all.find(sink => sink.name === name);
    if (!served) return null;
    const at = this.clock.now();
    await recordAction(this.database.kysely, { at, actor }, 'test', { sink: name });
    const { result, why } = await testSink(served, this.settings.SDK_APP_IDS[0]!, at, this.stopping.signal);
    const { outcome, status, durationMs, reason } = result;
    this.log.info('sink tested', { sink: name, by: actor, outcome, status, durationMs, reason: why });
    // A success with a reason was skipped by the sink's template, which says nothing about the sink.
    if (outcome === 'delivered' && reason === null) await this.heal(served);
    return result;
  }

  private update(sinks: readonly ServedSink[]) {
    const ids = sinks.map(({ id }) => id);
    return this.database.kysely.updateTable('sink').where(this.database.isAmong('id', ids));
  }

  /** The columns that mark a sink as being checked. */
  private claimed(marksStart: boolean) {
    const now = this.clock.now();
    return { next_check_at: now + checkTimeoutMs + graceMs, ...(marksStart && { start_check_at: now }) };
  }

  private claimAtStart() {
    const now = this.clock.now();
    const isRecent = (eb: ExpressionBuilder<Tables, 'sink'>) => eb.between('start_check_at', now - startWindowMs, now);
    return this.update(this.served.all)
      .set(this.claimed(true))
      .$if(!this.database.embedded, sinks => sinks.where(eb => eb.or([eb('start_check_at', 'is', null), eb.not(isRecent(eb))])));
  }

  /** Claims idle, unpaused sinks that are due. A time too far in the future can only come from a wrong clock. */
  private claimDue() {
    const now = this.clock.now();
    return this.update(this.served.all)
      .set(this.claimed(false))
      .where('paused_at', 'is', null)
      .where(eb => eb.or([eb('next_check_at', '<=', now), eb('next_check_at', '>', now + checkIntervalMs.good + checkIntervalMs.bad)]))
      .where(sql<boolean>`not exists (select 1 from delivery where delivery.sink = sink.id and delivery.state = 'pending')`);
  }

  /** An attempt makes a check unnecessary for a while. Written at most once a minute. */
  private async postpone(sink: ServedSink): Promise<void> {
    const at = this.attemptedAt.get(sink.name);
    if (at === undefined) return;
    this.attemptedAt.delete(sink.name);
    await this.update([sink])
      .set({ next_check_at: at + checkIntervalMs.good })
      .where('check_state', 'is', null)
      .where('next_check_at', '<', at + checkIntervalMs.good - checkIntervalMs.bad)
      .execute();
  }

  private async checkOne(served: ServedSink, atStart: boolean): Promise<CheckResult> {
    const { id, name: sink } = served;
    const startedAt = this.clock.now();
    const result = await checkSink(served.sink, this.stopping.signal);
    // A delivery that succeeded meanwhile overrides the result.
    const hasDelivered = (this.deliveredAt.get(sink) ?? -Infinity) >= startedAt;
    const problem = hasDelivered ? undefined : result.problems[0];
    const state = problem ? (problem.outcome === 'retry' ? 'retrying' : 'misconfigured') : null;
    const now = this.clock.now();
    const before = await this.database.kysely.transaction().execute(async trx => {
      const query = trx.selectFrom('sink').select(['check_state', 'check_reason', 'check_since']).where('id', '=', id);
      const row = await query.$call(this.database.lock).executeTakeFirstOrThrow();
      const found = problem && { check_reason: stored(problem.reason), check_advice: stored(problem.advice) };
      const since = state === row.check_state ? row.check_since : now;
      const next = { next_check_at: now + (state ? checkIntervalMs.bad : checkIntervalMs.good) };
      await trx
        .updateTable('sink')
        .set({ check_state: state, check_since: since, ...found, ...next })
        .where('id', '=', id)
        .execute();
      return row;
    });
    if (problem && (atStart || before.check_state !== state || before.check_reason !== stored(problem.reason)))
      for (const { message: reason, advice } of result.problems)
        this.log.warn('a check of the sink found a problem', { sink, state, reason, advice: inEnglish(advice) });
    else if (!problem && before.check_state !== null) this.log.info('the check of the sink succeeds again', { sink });
    else if (!problem && atStart) this.log.info('sink checked', { sink, found: result.summary });
    return result;
  }

  /** A successful test counts like a successful attempt. */
  private async heal({ id }: ServedSink): Promise<void> {
    await this.database.kysely.transaction().execute(async trx => {
      const query = trx.selectFrom('sink').select(healthColumns).where('id', '=', id);
      const row = await query.$call(this.database.lock).executeTakeFirstOrThrow();
      const recovering = row.state !== 'ok' && { recovered_to: 0 };
      await trx
        .updateTable('sink')
        .set({ ...healthAfter(row, null, this.clock.now()), check_state: null, ...recovering })
        .where('id', '=', id)
        .execute();
      await this.database.notify(trx, [id]);
    });
    this.events.emit('due', [id]);
  }
}
