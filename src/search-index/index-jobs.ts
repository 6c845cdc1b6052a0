import type { Selectable, Updateable } from 'kysely';
import { v4 as uuid } from 'uuid';
import { Injectable } from '@nestjs/common';
import { inEnglish } from '../explanations/explanation.js';
import { Database } from '../database/database.js';
import { ServedSinks, type ServedSink } from '../sinks/served-sinks.js';
import { SharedClock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';
import { Log } from '../process/log.js';
import type { Tables } from '../database/tables.js';
import { type SearchSink, keyOf } from '../sinks/sink.js';
import { SinkError } from '../sinks/errors.js';
import { bounded } from '../outgoing/within.js';
import { type JobKind, type RebuildProgress, type VerifyProgress, beginJob, findJob } from './index-job.js';
import { channelPage, resend, stillCurrent } from './index-channels.js';
import { backOffMs } from '../delivery/retry.js';
import type { RepeatedTask } from '../process/repeatedly.js';

const pollIntervalMs = 2000;
const pageSize = 500;
const maxExamples = 20;
/** Duration of a lease. A live process renews it while a page takes longer. */
const leaseMs = 10_000;
const renewIntervalMs = 3000;
/** Maximum delay before a failing job is retried; matches the probe interval of stopped sinks, since the engine is the likely cause. */
const maxRetryDelayMs = 15_000;
/** A job that keeps failing for this long is given up; it can be requested again. */
const giveUpAfterMs = 3_600_000;
/** Every index is automatically compared once a day. */
const verifyIntervalMs = 86_400_000;
/** How often to check whether a comparison is due and, until that is known, whether the index is outdated. */
const checkIntervalMs = 60_000;

type Row = Selectable<Tables['index_job']>;
type Update = Updateable<Tables['index_job']>;

/**
 * Compares indices with our store and rebuilds them, page by page, during deliveries. A job is a row that one process at a time holds under
 * a lease; after a crash, another process continues it.
 */
@Injectable()
export class IndexJobs {
  readonly part = 'index jobs';
  private readonly checkedAt = new Map<number, number>();
  /** Sinks whose index was checked for being outdated; only another release could change the result. */
  private readonly checked = new Set<number>();

  constructor(
    private readonly database: Database,
    private readonly served: ServedSinks,
    private readonly clock: SharedClock,
    private readonly log: Log,
    private readonly events: EngineEvents,
  ) {}

  works(stop: AbortSignal): RepeatedTask[] {
    return this.served.searches.map(sink => ({ work: () => this.turn(sink, stop), delayMs: pollIntervalMs }));
  }

  private async turn(served: ServedSink<SearchSink>, stop: AbortSignal): Promise<void> {
    // After a jump of the clock, leases of other processes may seem expired.
    if (this.database.time.jumpedWithin(leaseMs)) return;
    await this.startAutomatically(served, stop);
    for (const kind of ['rebuild', 'verify'] as const)
      for (let more = true; more && !stop.aborted;) more = await this.step(served, kind, stop);
  }

  private async startAutomatically({ id, name, sink }: ServedSink<SearchSink>, stop: AbortSignal): Promise<void> {
    if (this.clock.monotonic() - (this.checkedAt.get(id) ?? -Infinity) < checkIntervalMs) return;
    this.checkedAt.set(id, this.clock.monotonic());
    const now = this.clock.now();
    // An error here also shows up in deliveries and checks.
    const current = this.checked.has(id) ? null : await bounded(signal => sink.current(signal), null, stop).catch(() => null);
    if (current) this.checked.add(id);
    if (current?.outdated && (await beginJob(this.database, id, 'rebuild', false, { at: now, actor: null })))
      this.log.info('the index was made by another release or analyzer: rebuilding it', { sink: name });
    const row = await this.database.kysely.selectFrom('sink').select('registered_at').where('id', '=', id).executeTakeFirst();
    const last = (await findJob(this.database, id, 'verify'))?.startedAt ?? row?.registered_at ?? now;
    // A time in the future was written by a clock that was ahead.
    if (now - last >= verifyIntervalMs || last > now) await beginJob(this.database, id, 'verify', false, { at: now, actor: null });
  }

  /** Processes one page of a job. @returns whether there is more to do now */
  private async step(served: ServedSink<SearchSink>, kind: JobKind, stop: AbortSignal): Promise<boolean> {
    const lease = uuid();
    const row = await this.claim(served, kind, lease);
    if (!row) return false;
    const now = (): number => this.clock.now();
    let values: Update;
    const renewal = setInterval(() => void this.renew(served, kind, lease), renewIntervalMs);
    try {
      values = await bounded(signal => this[kind](served, row, signal), null, stop);
    } catch (error) {
      if (stop.aborted) values = { due_at: now() };
      else if (error instanceof SinkError) values = this.retryOrFail(served, row, error);
      else throw error;
    } finally {
      clearInterval(renewal);
    }
    if (values.state !== undefined) values = { ...values, finished_at: now() };
    const { numUpdatedRows } = await this.job(served, kind)
      .where('lease', '=', lease)
      .set({ due_at: now(), error: null, failing_since: null, ...values, lease: null })
      .executeTakeFirst();
    // If the lease was lost, the process that now holds the job reports its end.
    if (values.state === 'done' && numUpdatedRows > 0n) {
      const { after: _, examples: __, ...counts } = JSON.parse(values.progress as string) as VerifyProgress & RebuildProgress;
      this.log.info(`${kind} of the index is done`, { sink: served.name, ...counts });
      this.events.emit('due', [served.id]);
    }
    return values.state === undefined && (values.due_at === undefined || Number(values.due_at) <= now());
  }

  private job({ id }: ServedSink<SearchSink>, kind: JobKind) {
    return this.database.kysely.updateTable('index_job').where('sink', '=', id).where('kind', '=', kind);
  }

  private claim(served: ServedSink<SearchSink>, kind: JobKind, lease: string): Promise<Row | undefined> {
    const now = this.clock.now();
    return (
      this.job(served, kind)
        .where('state', '=', 'running')
        // SQLite has a single process with one step at a time, so any lease was left by a crashed process.
        .where(eb => eb.or([eb('due_at', '<=', now), ...(this.database.embedded ? [eb('lease', 'is not', null)] : [])]))
        .set({ lease, due_at: now + leaseMs })
        .returningAll()
        .executeTakeFirst()
    );
  }

  private async renew(served: ServedSink<SearchSink>, kind: JobKind, lease: string): Promise<void> {
    const renewal = this.job(served, kind)
      .where('lease', '=', lease)
      .set({ due_at: this.clock.now() + leaseMs });
    // If this fails, so will the update at the end of the page.
    await renewal.execute().catch(() => undefined);
  }

  private retryOrFail({ name }: ServedSink<SearchSink>, row: Row, { message, advice }: SinkError): Update {
    if (message !== row.error)
      this.log.info(`${row.kind} of the index is held up`, { sink: name, reason: message, advice: inEnglish(advice) });
    const now = this.clock.now();
    const since = row.failing_since ?? now;
    // The delay includes the time since the first failure, so it doubles each time.
    const dueAt = now + Math.min(backOffMs(1, this.clock.random()) + Math.max(now - since, 0), maxRetryDelayMs);
    return { error: message, failing_since: since, due_at: dueAt, ...(now - since > giveUpAfterMs && { state: 'failed' }) };
  }

  private async verify({ id, sink }: ServedSink<SearchSink>, row: Row, stop: AbortSignal): Promise<Update> {
    const progress = JSON.parse(row.progress) as VerifyProgress;
    const { wanted, last } = await channelPage(this.database, id, progress.after, pageSize, false);
    const deliveries = wanted.map(({ delivery }) => delivery);
    const found = await sink.compare(deliveries, { after: progress.after, until: last }, stop);
    const byKey = new Map(wanted.map(channel => [keyOf(channel), channel]));
    const channels = found.filter(({ kind }) => kind !== 'surplus').flatMap(difference => byKey.get(keyOf(difference)) ?? []);
    const current = new Set((await stillCurrent(this.database, id, channels)).map(keyOf));
    const differences = found.filter(difference => difference.kind === 'surplus' || current.has(keyOf(difference)));
    for (const { kind, sdkAppId, channelId } of differences) {
      progress[kind] += 1;
      if (progress.examples.length < maxExamples) progress.examples.push({ sdkAppId, channelId, kind });
    }
    progress.compared += wanted.length;
    if (progress.repair && differences.length > 0) {
      const { surplus = [], others = [] } = Object.groupBy(differences, ({ kind }) => (kind === 'surplus' ? 'surplus' : 'others'));
      if (surplus.length > 0) await sink.remove(surplus, stop);
      const outdated = others.map(found => ({ ...byKey.get(keyOf(found))!, version: found.version }));
      await resend(this.database, id, outdated, this.clock.now());
      this.events.emit('due', [id]);
      progress.repaired += differences.length;
    }
    progress.after = last;
    return { progress: JSON.stringify(progress), ...(last === null && { state: 'done' }) };
  }

  private async rebuild({ id, sink }: ServedSink<SearchSink>, row: Row, stop: AbortSignal): Promise<Update> {
    const progress = JSON.parse(row.progress) as RebuildProgress;
    const { index } = progress;
    if (index === null) {
      progress.index = await sink.prepare(stop);
      const channels = this.database.kysely.selectFrom('channel').where('revision', '>', 0);
      progress.total = (await channels.select(({ fn }) => fn.countAll<number>().as('n')).executeTakeFirstOrThrow()).n;
      // Read channels only after `settleMs`: until then, other processes may not know the next index and write to the old one only.
      return { progress: JSON.stringify(progress), due_at: this.clock.now() + sink.settleMs };
    }
    if (progress.filled) {
      await sink.swap(index, stop);
      return { progress: JSON.stringify(progress), state: 'done' };
    }
    const { wanted, last } = await channelPage(this.database, id, progress.after, pageSize, true);
    const damaged = wanted.filter(channel => channel.damaged).map(keyOf);
    if (damaged.length > 0) this.log.info('channels whose stored record is damaged are left out of the new index', { channels: damaged });
    const deliveries = wanted.flatMap(channel => (channel.damaged ? [] : [channel.delivery]));
    const results = await sink.fill(index, deliveries, stop);
    // A refused document is skipped: its delivery is refused too, and parked. All others must be written.
    const failed = results.find(result => result !== null && result.outcome !== 'refused');
    if (failed) throw failed;
    progress.done += wanted.length;
    progress.after = last;
    progress.filled = last === null;
    return { progress: JSON.stringify(progress) };
  }
}
