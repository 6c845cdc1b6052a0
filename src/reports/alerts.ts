import { type Selectable, type Transaction, type UpdateObject, sql } from 'kysely';
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
import type { Tables } from '../database/tables.js';
import { bounded } from '../outgoing/within.js';
import { backOffMs, plausibleTime, maxAhead, maxPaceLeadMs, paceTake } from '../delivery/retry.js';
import type { Alert } from '../sinks/alert.js';
import { Refused, SinkError, TryAgain } from '../sinks/errors.js';
import type { ReportSink } from '../sinks/report-sink.js';
import { failingApps, tellComparisons } from './comparisons.js';
import { summarize, summaryDue } from './summary.js';
import { type Heard, combine, observe } from './watch.js';
import { writeAlerts } from './write-alerts.js';
import type { RepeatedTask } from '../process/repeatedly.js';

const lookEveryMs = 5000;
/** How often each report sink is shown what has changed. */
const showEveryMs = 1000;
/** How long after its time-out an attempt counts as lost, so that another process may try. */
const graceMs = 10_000;
/** How soon a message is edited again if only numbers in it have changed. */
const editEveryMs = 30_000;
/** An alert that failed is tried again no later than this: nothing waits behind it, and people wait for it. */
const longestPauseMs = 60_000;

/**
 * Shows report sinks how the service itself is: stopped sinks, parked deliveries, indices that are out of sync, silence, rejected webhooks, and each day's
 * summary. One process at a time looks; each alert is a row that follows what is known, and is shown again whenever it has changed, until it is over.
 */
@Injectable()
export class Alerts {
  readonly part = 'alerts';
  private rejectedBefore: Heard['rejected'] = {};
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

  /** A report sink that hangs holds up neither the looks nor the others. */
  works(stop: AbortSignal): RepeatedTask[] {
    const turns = this.served.reports.map(one => ({ work: () => this.turn(one, stop), delayMs: showEveryMs }));
    return turns.length === 0 ? [] : [{ work: () => this.look(), delayMs: lookEveryMs }, ...turns];
  }

  private async turn(one: ServedSink<ReportSink>, stop: AbortSignal): Promise<void> {
    // After a jump of the clock the leases of other processes look as if they were over.
    if (this.database.time.jumpedWithin(graceMs)) return;
    await this.sumUp(one);
    for (let more = true; more && !stop.aborted;) more = await this.showNext(one, stop);
  }

  private hear(): Heard {
    const startedAt = this.clock.now() - (this.clock.monotonic() - this.startedAt);
    return { webhookAt: this.intake.lastKeptAt, rejected: { ...this.rejections.counts }, startedAt };
  }

  private async look(): Promise<void> {
    const now = this.clock.now();
    const heard = this.hear();
    const rejected = combine(heard.rejected, this.rejectedBefore, (all, before) => all - before);
    const apps = this.settings.apps.map(one => one.sdkAppId);
    const ids = this.served.reports.filter(one => one.sink.alerts).map(one => one.id);
    const looked = await this.database.kysely.transaction().execute(async trx => {
      if (!(await this.database.tryAdvisoryLock(trx, 'notices'))) return false;
      const observed = await observe(trx, { ...heard, rejected }, this.settings.SILENCE_ALERT_AFTER ?? null, now);
      for (const [key, failing] of await failingApps(trx, apps, now)) observed.set(key, failing);
      await writeAlerts(trx, ids, observed, now);
      await tellComparisons(trx, ids, now);
      return true;
    });
    // While another process looks, what was rejected here is kept for the next look.
    if (looked) this.rejectedBefore = heard.rejected;
  }

  /** Writes the day's summary once; that of a day without anything is written as if it was shown. */
  private async sumUp({ id, sink }: ServedSink<ReportSink>): Promise<void> {
    const now = this.clock.now();
    const date = sink.summary ? summaryDue(sink.summary, now) : null;
    if (date === null) return;
    const rows = await this.database.kysely
      .selectFrom('alert')
      .select(['key', 'resolved_at'])
      .where('sink', '=', id)
      .where('key', 'like', 'summary %')
      .execute();
    if (rows.some(row => row.key === `summary ${date}`)) return;
    // One that was written by a clock that was ahead would let the next ones begin too late.
    const last = Math.max(0, ...rows.map(row => row.resolved_at ?? 0).filter(at => at <= now));
    const summary = await summarize(this.database, id, last > 0 ? last : null, now);
    const payload = JSON.stringify(summary);
    const quiet = summary.changes === 0 && summary.sinks.every(one => one.parked + one.waiting === 0);
    await this.database.kysely.transaction().execute(async trx => {
      await this.database.advisoryLock(trx, 'notices');
      const key = `summary ${date}`;
      if (await trx.selectFrom('alert').select('id').where('sink', '=', id).where('key', '=', key).executeTakeFirst()) return;
      await trx
        .insertInto('alert')
        .values({
          sink: id,
          key,
          opened_at: now,
          resolved_at: await recordedAt(trx, now),
          payload,
          sent_payload: quiet ? payload : null,
          due_at: now,
        })
        .execute();
    });
  }

  /** Shows one alert that has changed since it was shown. @returns whether there may be another */
  private async showNext(one: ServedSink<ReportSink>, stop: AbortSignal): Promise<boolean> {
    const lease = uuid();
    const row = await this.database.kysely.transaction().execute(trx => this.claim(trx, one, lease));
    if (!row) return false;
    let values: UpdateObject<Tables, 'alert'>;
    let extraCalls = 0;
    try {
      const alert = JSON.parse(row.payload) as Alert;
      const show = (signal: AbortSignal) => one.sink.alert(alert, row.message_ref, signal, () => (extraCalls += 1));
      const messageRef = await bounded(show, one.settings.TIMEOUT_MS + graceMs / 2, stop);
      const now = this.clock.now();
      const next = sql<number>`case when resolved_at is null then ${sql.lit(now + editEveryMs)} else ${sql.lit(now)} end`;
      values = { sent_payload: row.payload, message_ref: messageRef, tries: 0, due_at: next };
    } catch (error) {
      values = stop.aborted ? { due_at: this.clock.now() } : this.failure(one, row, error);
    }
    await this.database.kysely
      .updateTable('alert')
      .set({ ...values, lease: null })
      .where('id', '=', row.id)
      .where('lease', '=', lease)
      .execute();
    const { RATE_PER_SECOND: perSecond } = one.settings;
    if (perSecond !== undefined && extraCalls > 0)
      await this.database.kysely
        .updateTable('sink')
        .set(eb => ({ paced_at: eb('paced_at', '+', (extraCalls * 1000) / perSecond) }))
        .where('id', '=', one.id)
        .execute();
    return true;
  }

  private failure(
    { name }: ServedSink<ReportSink>,
    { payload, tries }: Selectable<Tables['alert']>,
    error: unknown,
  ): UpdateObject<Tables, 'alert'> {
    // Only our own errors promise that their text holds no secret.
    const reason = error instanceof SinkError ? error.message : 'unexpected error';
    this.log.warn('an alert could not be posted; retrying', { sink: name, reason });
    // What is refused counts as shown; the next change of the same alert is tried again.
    if (error instanceof Refused) return { sent_payload: payload, tries: 0 };
    const held = error instanceof TryAgain ? error.retryAfterMs : 0;
    return {
      tries: tries + 1,
      due_at: this.clock.now() + Math.max(held, Math.min(backOffMs(tries + 1, this.clock.random()), longestPauseMs)),
    };
  }

  /** The oldest alert that is due, unless the sink is stopped, paused or held. It starts whatever the sink's rate says; the cards after it wait the longer. */
  private async claim(
    trx: Transaction<Tables>,
    { id, settings, sink: shows }: ServedSink<ReportSink>,
    lease: string,
  ): Promise<Selectable<Tables['alert']> | null> {
    const now = this.clock.now();
    const { RATE_PER_SECOND: perSecond, TIMEOUT_MS: timeoutMs } = settings;
    const locked = trx.selectFrom('sink').select(['state', 'paused_at', 'held_until', 'paced_at', 'check_state']).where('id', '=', id);
    const sink = await locked.$call(this.database.lock).executeTakeFirstOrThrow();
    if (
      sink.state !== 'ok' ||
      sink.check_state === 'misconfigured' ||
      sink.paused_at !== null ||
      (plausibleTime(sink.held_until, now, maxAhead.holdMs) ?? 0) > now
    )
      return null;
    const row = await trx
      .selectFrom('alert')
      .selectAll()
      .where('sink', '=', id)
      .where('due_at', '<=', now)
      .$if(!shows.alerts, found => found.where('key', 'like', 'summary %'))
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
    await trx
      .updateTable('alert')
      .set({ lease, due_at: now + timeoutMs + graceMs })
      .where('id', '=', row.id)
      .execute();
    return row;
  }
}
