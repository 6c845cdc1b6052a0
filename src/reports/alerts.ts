import { type UpdateObject, sql } from 'kysely';
import { v4 as uuid } from 'uuid';
import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { type ServedSink, ServedSinks } from '../sinks/served-sinks.js';
import { WebhookIntake } from '../intake/intake.js';
import { SharedClock } from '../process/clock.js';
import { Log } from '../process/log.js';
import { Settings } from '../settings/settings.js';
import { Rejections } from '../webhook/rejections.js';
import { recordedAt } from '../database/arrival-times.js';
import type { Row, Tables, Trx } from '../database/tables.js';
import { bounded } from '../outgoing/within.js';
import { backOffMs, plausibleTime, maxAhead, maxPaceLeadMs, paceTake } from '../delivery/retry.js';
import type { Alert } from '../sinks/alert.js';
import { Refused, SinkError, TryAgain } from '../sinks/errors.js';
import type { ReportSink } from '../sinks/report-sink.js';
import { countUpToMax } from './counting.js';
import { summarize, summaryDue } from './summary.js';
import { type LocalSignals, combine, observe } from './observe.js';
import { reportComparisons, writeAlerts } from './write-alerts.js';
import type { RepeatedTask } from '../process/repeatedly.js';

const observeIntervalMs = 5000;
const sendIntervalMs = 1000;
/** How long after its timeout an attempt counts as lost, so that another process may retry. */
const graceMs = 10_000;
/** How soon a message is edited again if only its numbers have changed. */
const editIntervalMs = 30_000;
/** Maximum backoff of a failed alert: nothing is queued behind it, and people wait for it. */
const maxAlertBackOffMs = 60_000;

/**
 * Sends alerts about the service itself and the daily summary to report sinks. One process at a time observes. Each alert is a row that is
 * updated from every observation and sent again whenever it has changed, until it is over.
 */
@Injectable()
export class Alerts {
  readonly part = 'alerts';
  private rejectedBefore: LocalSignals['rejected'] = {};
  /** When, on the monotonic clock, the first webhook was rejected that no observation has covered; `null` if there is none. */
  private firstRejectedAt: number | null = null;
  /** When this process last reported comparisons; 0 before. */
  private reportedAt = 0;
  private readonly startedAt: number;

  constructor(
    private readonly database: Database,
    private readonly settings: Settings,
    private readonly served: ServedSinks,
    private readonly intake: WebhookIntake,
    private readonly rejections: Rejections,
    private readonly clock: SharedClock,
    private readonly log: Log,
  ) {
    this.startedAt = clock.monotonic();
  }

  /** A report sink that hangs delays neither the observations nor other report sinks. */
  works(stop: AbortSignal): RepeatedTask[] {
    const turns = this.served.reports.map(served => ({ work: () => this.turn(served, stop), delayMs: sendIntervalMs }));
    return turns.length === 0 ? [] : [{ work: () => this.observe(), delayMs: observeIntervalMs }, ...turns];
  }

  private async turn(served: ServedSink<ReportSink>, stop: AbortSignal): Promise<void> {
    // After a clock jump, leases of other processes may look expired.
    if (this.database.time.jumpedWithin(graceMs)) return;
    await this.writeSummary(served);
    for (let more = true; more && !stop.aborted;) more = await this.sendNext(served, stop);
  }

  private async observe(): Promise<void> {
    const now = this.clock.now();
    const counts = { ...this.rejections.counts };
    const rejected = combine(counts, this.rejectedBefore, -1);
    const first = this.rejections.takeFirst();
    this.firstRejectedAt ??= first;
    const wall = (monotonic: number): number => now - (this.clock.monotonic() - monotonic);
    const rejectedSince = this.firstRejectedAt === null ? now : wall(this.firstRejectedAt);
    const local: LocalSignals = { webhookAt: this.intake.lastKeptAt, startedAt: wall(this.startedAt), rejected, rejectedSince };
    const ids = this.served.reports.filter(served => served.sink.alerts).map(served => served.id);
    // Counted before the transaction, which keeps webhooks waiting, as the embedded store has a single connection.
    const counted = this.database.embedded ? await countUpToMax(this.database.kysely) : null;
    const isObserver = await this.database.kysely.transaction().execute(async trx => {
      if (!(await this.database.tryAdvisoryLock(trx, 'alerts'))) return false;
      const countsOf = counted ?? (await countUpToMax(trx));
      await writeAlerts(trx, ids, await observe(trx, countsOf, local, this.settings, now), countsOf, now);
      await reportComparisons(trx, ids, this.reportedAt, now);
      return true;
    });
    // While another process observes, rejections counted here are kept for the next time.
    if (isObserver) [this.rejectedBefore, this.firstRejectedAt, this.reportedAt] = [counts, null, now];
  }

  /** Writes the daily summary once; if there is nothing to report, it is marked as already sent. */
  private async writeSummary({ id, sink }: ServedSink<ReportSink>): Promise<void> {
    const now = this.clock.now();
    const date = sink.summary ? summaryDue(sink.summary, now) : null;
    if (date === null) return;
    const key = `summary ${date}`;
    const summaries = this.database.kysely.selectFrom('alert').select(['key', 'resolved_at']).where('sink', '=', id);
    const rows = await summaries.where('key', 'like', 'summary %').execute();
    if (rows.some(row => row.key === key)) return;
    // A summary written by a clock that was ahead would make the next ones start too late.
    const last = Math.max(0, ...rows.map(row => row.resolved_at ?? 0).filter(at => at <= now));
    const summary = await summarize(this.database, id, last > 0 ? last : null, now);
    const payload = JSON.stringify(summary);
    const quiet = summary.changes === 0 && summary.sinks.every(sink => sink.parked + sink.waiting === 0);
    await this.database.kysely.transaction().execute(async trx => {
      await this.database.advisoryLock(trx, 'alerts');
      if (await trx.selectFrom('alert').select('id').where('sink', '=', id).where('key', '=', key).executeTakeFirst()) return;
      const times = { opened_at: now, resolved_at: await recordedAt(trx, now), due_at: now };
      const row = { sink: id, key, ...times, payload, sent_payload: quiet ? payload : null };
      await trx.insertInto('alert').values(row).execute();
    });
  }

  /** Sends one alert that has changed since it was last sent. @returns whether there may be another */
  private async sendNext(served: ServedSink<ReportSink>, stop: AbortSignal): Promise<boolean> {
    const lease = uuid();
    const row = await this.database.kysely.transaction().execute(trx => this.claim(trx, served, lease));
    if (!row) return false;
    let values: UpdateObject<Tables, 'alert'>;
    let extraCalls = 0;
    try {
      const alert = JSON.parse(row.payload) as Alert;
      const send = (signal: AbortSignal) => served.sink.alert(alert, row.message_ref, signal, () => (extraCalls += 1));
      const messageRef = await bounded(send, served.settings.TIMEOUT_MS + graceMs / 2, stop);
      const now = this.clock.now();
      const next = sql<number>`case when resolved_at is null then ${sql.lit(now + editIntervalMs)} else ${sql.lit(now)} end`;
      values = { sent_payload: row.payload, message_ref: messageRef, tries: 0, due_at: next };
    } catch (error) {
      values = stop.aborted ? { due_at: this.clock.now() } : this.failure(served.name, row, error);
    }
    const written = this.database.kysely.updateTable('alert').where('id', '=', row.id);
    const leased = written.set({ ...values, lease: null }).where('lease', '=', lease);
    // An edit that arrives after its lease was lost may replace a newer one of the new holder, so that one is sent once more.
    if ((await leased.executeTakeFirst()).numUpdatedRows === 0n && values.message_ref)
      await written.set(values).where('lease', 'is', null).where('message_ref', '=', row.message_ref).execute();
    const { RATE_PER_SECOND: perSecond } = served.settings;
    if (perSecond !== undefined && extraCalls > 0)
      await this.database.kysely
        .updateTable('sink')
        .set(eb => ({ paced_at: eb('paced_at', '+', (extraCalls * 1000) / perSecond) }))
        .where('id', '=', served.id)
        .execute();
    return true;
  }

  private failure(sink: string, { payload, tries }: Row<'alert'>, error: unknown): UpdateObject<Tables, 'alert'> {
    // Only our own errors are guaranteed to contain no secrets.
    const reason = error instanceof SinkError ? error.message : 'unexpected error';
    if (error instanceof Refused) {
      this.log.warn('an alert was refused', { sink, reason });
      // It counts as sent; its next change is sent again.
      return { sent_payload: payload, tries: 0 };
    }
    this.log.warn('an alert could not be posted; retrying', { sink, reason });
    const heldMs = error instanceof TryAgain ? error.retryAfterMs : 0;
    const delayMs = Math.max(heldMs, Math.min(backOffMs(tries + 1, this.clock.random()), maxAlertBackOffMs));
    return { tries: tries + 1, due_at: this.clock.now() + delayMs };
  }

  /** The oldest alert that is due, unless the sink is stopped, paused or held. Ignores the rate limit; cards after it wait longer instead. */
  private async claim(trx: Trx, served: ServedSink<ReportSink>, lease: string): Promise<Row<'alert'> | null> {
    const { id, settings } = served;
    const { RATE_PER_SECOND: perSecond, TIMEOUT_MS: timeoutMs } = settings;
    const now = this.clock.now();
    const locked = trx.selectFrom('sink').select(['state', 'paused_at', 'held_until', 'paced_at', 'check_state']).where('id', '=', id);
    const sink = await locked.$call(this.database.lock).executeTakeFirstOrThrow();
    const isHeld = (plausibleTime(sink.held_until, now, maxAhead.holdMs) ?? 0) > now;
    if (sink.state !== 'ok' || sink.check_state === 'misconfigured' || sink.paused_at !== null || isHeld) return null;
    const row = await trx
      .selectFrom('alert')
      .selectAll()
      .where('sink', '=', id)
      .where('due_at', '<=', now)
      .$if(!served.sink.alerts, found => found.where('key', 'like', 'summary %'))
      .where(eb => eb.or([eb('sent_payload', 'is', null), eb('sent_payload', '<>', eb.ref('payload'))]))
      .orderBy('id')
      .limit(1)
      .executeTakeFirst();
    if (!row) return null;
    if (perSecond !== undefined)
      await trx
        .updateTable('sink')
        .set({ paced_at: paceTake(plausibleTime(sink.paced_at, now, maxPaceLeadMs(perSecond)), perSecond, now, 1) })
        .where('id', '=', id)
        .execute();
    const leased = { lease, due_at: now + timeoutMs + graceMs };
    await trx.updateTable('alert').set(leased).where('id', '=', row.id).execute();
    return row;
  }
}
