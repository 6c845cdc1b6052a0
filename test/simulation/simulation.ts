import { createHash } from 'node:crypto';
import type { ReadingRecorder as ReadingRecorderType } from '../../src/channel/readings/reading-recorder.js';
import type { Recorder as RecorderType } from '../../src/channel/recorder.js';
import type { InboundWebhook } from '../../src/channel/inbound-webhook.js';
import type { Database } from '../../src/database/database.js';
import type { Log } from '../../src/process/log.js';
import type { Settings } from '../../src/settings/settings.js';
import type { Upkeep as UpkeepType } from '../../src/maintenance/upkeep.js';
import type { Worker as WorkerType } from '../../src/delivery/worker.js';
import type { Delivery } from '../../src/sinks/sink.js';
import type { Sink } from '../../src/sinks/sink-type.js';
import type { Report } from '../../src/sinks/report-sink.js';
import type { SinkError } from '../../src/sinks/errors.js';
import type { SinkSettings } from '../../src/sinks/settings.js';
import { Dice } from '../storm/dice.ts';
import { expectedProfile, fieldOf } from '../storm/oracle.ts';
import { type StormWebhook, WebhookSource } from '../storm/webhooks.ts';
import { byWebhook, commands } from '../support/vendor.ts';
import type { Code } from './code.ts';
import { Machine } from './machine.ts';
import { Mortal } from './mortal.ts';
import type { VirtualTime } from './virtual-time.ts';

const start = Date.UTC(2026, 0, 1);
const hourMs = 3_600_000;
const channels = 20;
const bursts = 32;
const faults = 24;
/** The longest back-off, twice: of a change, and of the card that shows its end; and what a jump of the clock may cost. */
const settleMs = 2 * 900_000 + 60_000;
/** How long nothing may wait for a wrong clock after it is right again. */
const clockCostMs = 60_000;
const jumps = [60_000, 8 * hourMs, 10 * 365 * 24 * hourMs].flatMap(ms => [ms, -ms]);
/** How far replicas may be off by nature. */
const skews = [1000, 11_000, 60_000, hourMs];

/** One process. */
interface Replica {
  number: number;
  mortal: Mortal;
  recorder: RecorderType;
  readings: ReadingRecorderType;
  workers: Map<number, WorkerType>;
  machine: Machine;
  upkeep: UpkeepType;
  stillUntil: number;
}

const misbehaviours = ['failing', 'took but failed', 'hanging', 'misconfigured', 'throttling', 'slow', 'flaky', 'picky'] as const;
type Behaviour = 'well' | (typeof misbehaviours)[number];

export interface Outcome {
  seed: number;
  breaches: string[];
  /** The same for the same seed, byte for byte. */
  journal: string[];
  digest: string;
  webhooks: number;
  faults: number;
}

/** One simulated hour of several replicas on one store, out of one seed. */
export class Simulation {
  readonly #journal: string[] = [];
  readonly #breaches: string[] = [];
  readonly #code: Code;
  readonly #time: VirtualTime;
  readonly #seed: number;
  readonly #dice: Dice;
  readonly #source: WebhookSource;
  readonly #replicas: Replica[] = [];
  readonly #behaviour: Record<string, Behaviour> & { index: Behaviour } = { crm: 'well', index: 'well', cards: 'well' };
  readonly #acked = new Set<string>();
  /** What was read of channels and recorded, as webhooks that would say the same. */
  readonly #read: StormWebhook[] = [];
  readonly #told = new Map<string, { newest: number; ids: Map<number, string> }>();
  readonly #documents = new Map<string, { version: number; delivery: Delivery }>();
  readonly #cards = new Map<string, Report>();
  #database!: Database;
  #started = 0;
  #ids = 0;
  #faults = 0;
  #webhooks = 0;
  #moved = false;
  #writes = 0;
  #looked = 0;
  #replaying = false;
  /** The machine whose clock all share: that of PostgreSQL, or of the one process. */
  #server!: Machine;
  /** Clocks that were set to a wrong time. */
  readonly #wrong = new Set<Machine>();
  #rightSince = 0;
  #jumpedForwardAt = -Infinity;
  /** A jump that nobody was there to notice counts as time that passed. */
  #mayExpire = false;
  /** When the last process was killed, or went on after a standstill: what it had in hand may be sent twice. */
  #harmedAt = 0;
  /** What the CRM is at, and has taken, with when that began. */
  readonly #sending = new Map<string, number>();
  readonly #sent = new Map<string, number>();

  constructor(code: Code, time: VirtualTime, seed: number) {
    [this.#code, this.#time, this.#seed, this.#dice] = [code, time, seed, new Dice(seed)];
    this.#source = new WebhookSource(new Dice(seed + 1_000_003), channels, () => time.now);
  }

  async run(): Promise<Outcome> {
    this.#time.reset(start);
    this.#database = await this.#code.Database.open('sqlite::memory:', () => undefined);
    await this.#database.migrate();
    this.#database.ready = true;
    const count = 1 + this.#dice.below(3);
    this.#server = new Machine(this.#time, 0, 0);
    this.#rightSince = start;
    for (let number = 0; number < count; number++) await this.#startReplica(count);
    for (let burst = 0; burst < bursts; burst++) this.#at(this.#dice.below(hourMs), () => this.#burst(count));
    for (let fault = 0; fault < faults; fault++) this.#at(this.#dice.below(hourMs), () => this.#fault(count));
    for (let minute = 1; minute < 60; minute++) this.#at(minute * 60_000, () => this.#checkWaits());
    for (let turns = 0; turns < 6; turns++) this.#at(this.#dice.below(hourMs), () => this.#upkeep());
    await this.#pass(hourMs);
    for (const machine of this.#wrong) this.#setClock(machine, 0);
    for (const sink of Object.keys(this.#behaviour)) this.#behaviour[sink] = 'well';
    await this.#settle();
    await this.#check(await this.#replayParked());
    for (const replica of this.#replicas.splice(0)) replica.mortal.dead = true;
    await this.#database.close();
    const digest = createHash('sha256').update(this.#journal.join('\n')).digest('hex');
    return { seed: this.#seed, breaches: this.#breaches, journal: this.#journal, digest, webhooks: this.#webhooks, faults: this.#faults };
  }

  #pass(ms: number): Promise<void> {
    return this.#time.run(this.#time.now + ms, () => this.#invariants());
  }

  #at(ms: number, work: () => unknown): void {
    setTimeout(() => void work(), ms);
  }

  #note(text: string): void {
    this.#journal.push(`${this.#time.now - start} ${text}`);
  }

  #breach(text: string): void {
    this.#note(`BREACH ${text}`);
    this.#breaches.push(text);
  }

  async #startReplica(count: number): Promise<void> {
    const {
      Recorder,
      ReadingRecorder,
      Enqueuer,
      EngineEvents,
      Lanes,
      TurnBudget,
      Worker,
      registerSinks,
      Timekeeper,
      Upkeep,
      SharedTime,
      repeatedly,
      sinks,
    } = this.#code;
    const number = this.#started++;
    const machine = count > 1 ? this.#newMachine() : this.#server;
    const time = new SharedTime({ monotonic: () => machine.monotonic(), now: () => machine.wall() });
    const look = (): void => time.read(this.#server.wall(), machine.monotonic(), machine.monotonic());
    const mortal = new Mortal(this.#database, time, look, () => (this.#moved = true));
    this.#time.see(mortal, machine);
    const { database } = mortal;
    const [wall, monotonic] = [() => machine.wall(), () => machine.monotonic()];
    const clock = { now: () => database.now(), wall, monotonic, random: () => this.#dice.next() };
    const wake = (ids: Iterable<number>): void => {
      // To this process at once, to the others a little later, as notices travel.
      for (const id of ids) {
        replica.workers.get(id)?.wake();
        for (const other of this.#replicas) if (other !== replica) this.#notice(other, id);
      }
    };
    const trouble = (error: Error | null): void => void (error && this.#breach(`something failed: ${error.message}`));
    const events = new EngineEvents()
      .on('due', sinks => wake(sinks ?? replica.workers.keys()))
      .on('attempt', ({ sink, outcome, deliveryId }) => this.#note(`${number} ${sink} ${outcome} ${deliveryId}`))
      .on('state', (sink, { state }) => this.#note(`${number} ${sink} is ${state}`))
      .on('ended', (_, outcome) => outcome === 'discarded' && this.#breach('something is discarded'))
      .on('degraded', (_, error) => trouble(error));
    const enqueuer = new Enqueuer(mortal.database, clock, events);
    const recorder = new Recorder(mortal.database, clock, enqueuer, events);
    const readings = new ReadingRecorder(mortal.database, clock, enqueuer);
    const upkeep = new Upkeep(database, { RETENTION_DAYS: 90 } as Settings, clock, events);
    const replica: Replica = { number, mortal, recorder, readings, workers: new Map(), machine, upkeep, stillUntil: 0 };
    const log = { warn: (_: string, { byMs }: { byMs: number }) => this.#note(`replica ${number} notices a jump by ${byMs} ms`) };
    const keeper = new Timekeeper(database, { ...clock, now: wall }, log as unknown as Log, events);
    look();
    // As a start does where others may be running.
    if (count > 1) await keeper.letOthersNotice(new AbortController().signal);
    await keeper.once();
    this.#time.as(mortal, () => void repeatedly(keeper.works(), trouble, new AbortController().signal));
    const lanes = new Lanes(mortal.database, () => `token ${this.#ids++}`, clock.random);
    const modes = { crm: 'log', index: 'state', cards: 'report' } as const;
    const report = { holdMs: 2000, edits: true };
    const configured = Object.entries(modes).map(([name, mode]) => ({ name, type: 'simulated', mode, filters: {}, report }));
    const registered = await registerSinks(this.#database, configured, clock.now());
    // One process is alone with the embedded store, and does what it does then.
    if (count === 1) await lanes.releaseAll(clock.now());
    const settings = Object.assign(new sinks.SinkSettings(), {
      TIMEOUT_MS: 5000,
      CONCURRENCY: 16,
      RETRY_MAX_AGE: 24 * hourMs,
    }) as SinkSettings;
    const starts = new TurnBudget(12);
    for (const one of registered) {
      const paced = one.name === 'cards' ? Object.assign(new sinks.SinkSettings(), settings, { RATE_PER_SECOND: 5 }) : settings;
      const host = { starts, giveWay: () => Promise.resolve(), reportFailure: (_: string, error: Error | null) => trouble(error) };
      const worker = new Worker(one, this.#sink(one.name), paced, lanes, events, clock, host);
      replica.workers.set(one.id, worker);
      enqueuer.serve(one.id, worker);
      this.#time.as(mortal, () => worker.start());
    }
    this.#replicas.push(replica);
    this.#note(`replica ${number} starts, its clock off by ${machine.wall() - this.#time.now} ms`);
  }

  /** One of a replica: its clock is off, and not quite as fast as others. */
  #newMachine(): Machine {
    const most = this.#dice.pick(skews);
    return new Machine(this.#time, this.#dice.below(2 * most) - most, (this.#dice.below(200) - 100) / 1e6);
  }

  #setClock(machine: Machine, jumpMs: number): void {
    if (machine === this.#server && jumpMs > machine.jumpMs) this.#jumpedForwardAt = this.#time.now;
    if (machine === this.#server && this.#replicas.length === 0) this.#mayExpire = true;
    machine.jumpMs = jumpMs;
    if (jumpMs === 0) this.#wrong.delete(machine);
    else this.#wrong.add(machine);
    if (this.#wrong.size === 0) this.#rightSince = this.#time.now;
    this.#note(`a clock is off by ${jumpMs} ms${machine === this.#server ? ', the shared one' : ''}`);
  }

  #jump(): void {
    const replica = this.#dice.pick(this.#replicas);
    const machine = this.#dice.chance(0.3) ? this.#server : replica.machine;
    const by = this.#dice.pick(jumps);
    this.#setClock(machine, by);
    this.#at(1000 + this.#dice.below(600_000), () => machine.jumpMs === by && this.#setClock(machine, 0));
  }

  /** Retention, at any time, also while the clock is wrong. */
  async #upkeep(): Promise<void> {
    if (this.#replicas.length === 0) return;
    const replica = this.#dice.pick(this.#replicas);
    await this.#reach(replica, () => replica.upkeep.once(new AbortController().signal));
  }

  /** Once the clocks have been right for a minute, with somebody there, nothing waits for longer than it can have been told to. */
  async #checkWaits(): Promise<void> {
    const since = Math.max(this.#rightSince, this.#harmedAt);
    if (this.#wrong.size > 0 || this.#replicas.length === 0 || this.#time.now < since + clockCostMs) return;
    const now = this.#server.wall();
    const [row] = await this.#ask<Record<'due' | 'held' | 'paced' | 'probe', number | null>>(
      `select (select max(due_at) from lane) as due, max(held_until) as held, max(paced_at) as paced, max(next_round_robin_probe_at) as probe from sink`,
    );
    const most = { due: 900_000, held: 61_000, paced: 30_000, probe: 18_000 };
    for (const [what, ms] of Object.entries(most)) {
      const wait = (row![what as keyof typeof most] ?? 0) - now;
      if (wait > ms + 2000) this.#breach(`${what}: it waits for ${wait} ms, with a clock that has been right since ${since - start}`);
    }
  }

  /** Travels by itself, also when its sender dies meanwhile. */
  #notice(to: Replica, sink: number): void {
    const after = Math.max(1 + this.#dice.below(50), to.stillUntil - this.#time.now);
    this.#time.as(to.mortal, () => this.#at(after, () => to.workers.get(sink)?.wake()));
  }

  /** What reaches a process that stands still waits until that goes on. */
  #reach<T>(replica: Replica, work: () => Promise<T>): Promise<T> {
    const ms = replica.stillUntil - this.#time.now;
    return this.#time.as(replica.mortal, () => (ms > 0 ? new Promise<void>(resolve => this.#at(ms, resolve)).then(work) : work()));
  }

  #burst(replicas: number): void {
    for (let count = 30 + this.#dice.below(20); count > 0; count--) {
      const webhook = this.#source.next();
      const replica = this.#replicas.length > 0 ? this.#dice.pick(this.#replicas) : null;
      if (!replica) continue;
      this.#webhooks += 1;
      const id = `00000000-0000-7000-8000-${String(this.#ids++).padStart(12, '0')}`;
      void this.#reach(replica, () => replica.recorder.record(receiptOf(webhook, id, replica.machine.wall()), 1400)).then(
        result => {
          this.#acked.add(webhook.Operator_Account);
          this.#note(`${replica.number} ${result} ${webhook.Operator_Account}`);
        },
        (error: Error) => {
          // Who stood still is late with its answer; everybody else has no reason to refuse.
          if (this.#time.now > replica.stillUntil + 1000) this.#breach(`not kept: ${error.message}`);
          this.#note(`${replica.number} refused ${webhook.Operator_Account}`);
        },
      );
    }
    if (this.#dice.chance(0.5)) this.#reading();
    // While there is something in hand.
    if (this.#dice.chance(0.2)) this.#at(this.#dice.below(400), () => this.#harm(replicas));
  }

  /** Some channels are read from the vendor, as of a moment ago, by whoever is there; what they are like there need not be what any webhook said. */
  #reading(): void {
    if (this.#replicas.length === 0) return;
    const replica = this.#dice.pick(this.#replicas);
    const { number, readings } = replica;
    const sentAt = this.#server.wall();
    const at = Math.min(sentAt, this.#time.now) - 10_000;
    const read = Array.from({ length: 1 + this.#dice.below(5) }, (_, index) => {
      const fields: Record<string, string> = {};
      for (const field of Object.values(fieldOf)) if (this.#dice.chance(0.7)) fields[field] = `${field} ${this.#dice.below(1000)}`;
      return { channelId: `@TOA#_${(index * 7 + this.#dice.below(7)) % (channels + 2)}`, fields };
    });
    const one = ({ channelId, fields }: (typeof read)[number]) => ({
      sdkAppId: '1400000001',
      channelId,
      owner: null,
      at,
      sentAt,
      judge: (known: Parameters<Code['judge']>[0]) => ({ ...this.#code.judge(known, fields, at), againAt: null }),
    });
    const distinct = [...new Map(read.map(reading => [reading.channelId, reading])).values()];
    const recording = this.#reach(replica, () =>
      readings.transaction(async (_, record) => {
        await record(distinct.map(one));
        // From here on it is committed, whether its process lives to see that or not.
        this.#read.push(...distinct.map(({ channelId, fields }) => asWebhook(channelId, fields, at)));
      }),
    );
    void recording.then(
      () => this.#note(`${number} has read ${distinct.length} channels`),
      (error: Error) => this.#breach(`a reading was not recorded: ${error.message}`),
    );
  }

  #fault(count: number): void {
    if (this.#dice.chance(0.4)) return this.#harm(count);
    this.#faults += 1;
    const sink = this.#dice.pick(Object.keys(this.#behaviour));
    // A card is not refused: what it shows last would not be true then.
    const behaviour = this.#dice.pick(misbehaviours.filter(one => one !== 'picky' || sink !== 'cards'));
    this.#behaviour[sink] = behaviour;
    this.#note(`${sink} is ${behaviour}`);
    this.#at(1000 + this.#dice.below(600_000), () => {
      if (this.#behaviour[sink] === behaviour) this.#behaviour[sink] = 'well';
    });
  }

  #harm(count: number): void {
    if (this.#replicas.length === 0) return;
    this.#faults += 1;
    if (this.#dice.chance(0.4)) this.#jump();
    else if (this.#dice.chance(0.5)) this.#kill(count);
    else this.#freeze();
  }

  #kill(count: number): void {
    const [gone] = this.#replicas.splice(this.#dice.below(this.#replicas.length), 1);
    gone!.mortal.dead = true;
    this.#time.end(gone!.mortal);
    this.#note(`replica ${gone!.number} is killed`);
    this.#harmedAt = Math.max(this.#harmedAt, this.#time.now);
    // What happened just before may be noticed by nobody.
    if (this.#time.now < this.#jumpedForwardAt + 5000) this.#mayExpire = true;
    this.#at(this.#dice.below(20_000), () => this.#startReplica(count));
  }

  /** For longer than a lease lasts, or not. */
  #freeze(): void {
    const replica = this.#dice.pick(this.#replicas);
    const ms = 1000 + this.#dice.below(40_000);
    const suspended = this.#dice.chance(0.3);
    if (this.#time.now < replica.stillUntil) return;
    this.#time[suspended ? 'suspend' : 'freeze'](replica.mortal, ms);
    replica.stillUntil = this.#time.now + ms;
    if (suspended) this.#at(ms - 1, () => (replica.machine.suspendedMs += ms));
    this.#harmedAt = Math.max(this.#harmedAt, replica.stillUntil);
    this.#note(`replica ${replica.number} stands still for ${ms} ms${suspended ? ' with its machine' : ''}`);
  }

  #sink(name: string): Sink {
    if (name === 'cards')
      return {
        holdMs: 2000,
        edits: true,
        summary: null,
        alerts: true,
        report: (report, signal) => this.#act(name, signal, () => this.#card(report)),
        digest: (reports, signal) => this.#act(name, signal, () => reports.map(report => this.#card(report))[0]!),
        alert: () => Promise.reject(new Error('there are no notices in here')),
      };
    if (name === 'index')
      return { batchSize: 20, deliverMany: (all, signal) => this.#act(name, signal, () => all.map(one => this.#storeOrNot(one))) };
    return {
      deliver: async (delivery, signal) => {
        const { channelId } = delivery.event.data;
        const startedAt = this.#time.now;
        this.#checkSend(delivery);
        this.#sending.set(channelId, startedAt);
        try {
          await this.#act(name, signal, () => {
            const refusal = this.#refusal(name);
            if (refusal) throw refusal;
            this.#take(delivery, startedAt);
          });
          this.#sent.set(delivery.id, startedAt);
        } finally {
          if (this.#sending.get(channelId) === startedAt) this.#sending.delete(channelId);
        }
      },
    };
  }

  /** One attempt at a target that behaves as it does at this moment. */
  async #act<T>(name: string, signal: AbortSignal, take: () => T): Promise<T> {
    const { TryAgain, Misconfigured } = this.#code.sinks;
    const behaviour = this.#behaviour[name]!;
    await rest(behaviour === 'slow' ? this.#dice.below(7000) : 50 * (1 + this.#dice.below(3)), signal);
    const failing = new TryAgain(['answered', 503], ['wait'], 503);
    if (behaviour === 'failing' || (behaviour === 'flaky' && this.#dice.chance(0.4))) throw failing;
    if (behaviour === 'misconfigured') throw new Misconfigured(['answered', 401], ['as_said', 'mend it'], 401);
    if (behaviour === 'throttling') throw new TryAgain(['answered', 429], ['wait'], 429, 1000 + this.#dice.below(60_000));
    if (behaviour === 'hanging') await rest(3_600_000, signal);
    const taken = take();
    if (behaviour === 'took but failed') throw failing;
    return taken;
  }

  /** A target that is picky refuses one in five. */
  #refusal(name: string): SinkError | null {
    const { Refused } = this.#code.sinks;
    return this.#behaviour[name] === 'picky' && this.#dice.chance(0.2)
      ? new Refused(['answered', 400], ['as_said', 'look at it'], 400)
      : null;
  }

  /** An item of a bulk: where items fail, each for itself. */
  #storeOrNot(delivery: Delivery): SinkError | null {
    const refusal = this.#refusal('index');
    if (refusal) return refusal;
    if (this.#behaviour.index === 'picky' && this.#dice.chance(0.2)) return new this.#code.sinks.TryAgain(['answered', 429], ['wait'], 429);
    this.#store(delivery);
    return null;
  }

  /** Only a replay may send to a log sink what is older than its newest. What was under way in a process that stood still arrives when it does. */
  #checkSend({ id, event: { data } }: Delivery): void {
    for (const [what, before] of [
      [`${data.channelId} overlaps with another attempt`, this.#sending.get(data.channelId)],
      [`${id} is sent again after it was taken`, this.#sent.get(id)],
    ] as const)
      if (before !== undefined && before > this.#harmedAt && !this.#replaying) this.#breach(`${what}, since ${before - start}`);
    const newest = this.#told.get(data.channelId)?.newest ?? 0;
    if (data.revision! < newest && !this.#replaying) this.#breach(`revision ${data.revision} of ${data.channelId} is sent after ${newest}`);
  }

  /**
   * A log sink takes revision after revision; what was parked is left out, and comes with the replay. What was sent in order before its process stood
   * still may come after what others sent meanwhile, where the target refused it from them.
   */
  #take({ id, event: { data } }: Delivery, startedAt: number): void {
    const told = this.#told.get(data.channelId) ?? { newest: 0, ids: new Map<number, string>() };
    this.#told.set(data.channelId, told);
    const revision = data.revision!;
    const known = told.ids.get(revision);
    if (known !== undefined && known !== id) this.#breach(`revision ${revision} of ${data.channelId} came with another id`);
    if (known === undefined && revision < told.newest && !this.#replaying && startedAt > this.#harmedAt)
      this.#breach(`revision ${revision} of ${data.channelId} came after ${told.newest}`);
    told.ids.set(revision, id);
    told.newest = Math.max(told.newest, revision);
  }

  /** An index keeps the greatest version, as an external one does. */
  #store(delivery: Delivery): void {
    const { channelId } = delivery.event.data;
    if ((this.#documents.get(channelId)?.version ?? -1) < delivery.version)
      this.#documents.set(channelId, { version: delivery.version, delivery });
  }

  #card(report: Report): string {
    this.#cards.set(report.event.data.changeId, report);
    return `card ${report.event.data.changeId}`;
  }

  #ask<Row>(text: string, ...parameters: unknown[]): Promise<Row[]> {
    return this.#database.kysely
      .executeQuery({ sql: text, parameters, query: { kind: 'RawNode' }, queryId: { queryId: '' } } as never)
      .then(({ rows }) => rows as Row[]);
  }

  /** What must hold after every step that wrote something. Of changes only the new ones are looked at: what is owed is written with them. */
  async #invariants(): Promise<void> {
    if (!this.#moved) return;
    this.#moved = false;
    const [{ writes } = { writes: 0 }] = await this.#ask<{ writes: number }>('select total_changes() as writes');
    if (writes === this.#writes) return;
    this.#writes = writes;
    const [row] = await this.#ask<Record<'forgotten' | 'unowed' | 'odd' | 'expired' | 'newest', number>>(
      `select total(not exists (select 1 from lane where lane.sink = d.sink and lane.channel = d.channel and lane.due_at is not null)
           and not exists (select 1 from lane where lane.sink = d.sink and lane.channel = d.channel and d.position < lane.superseded_before)
           and not exists (select 1 from report_refresh r where r.sink = d.sink and r.change_id = d.change_id)) as forgotten,
         (select count(*) from change c, sink s where c.rowid > ? and case s.mode when 'report' then c.source <> 'import' else c.revision is not null end and not exists
           (select 1 from delivery d where d.change_id = c.id and d.sink = s.id)) as unowed,
         total(state not in ('pending', 'delivered')) + (select count(*) from delivery where state = 'pending' and open = 0) as odd,
         (select count(*) from delivery where state = 'parked' and cause = 'expired') as expired,
         (select max(rowid) from change) as newest
       from delivery d where open = 1`,
      this.#looked,
    );
    this.#looked = row!.newest ?? 0;
    if (row!.forgotten > 0)
      this.#breach(
        `${row!.forgotten} open deliveries are in no lane that is due, nor to be marked as superseded, nor in the queue of refreshes`,
      );
    if (row!.unowed > 0) this.#breach(`${row!.unowed} changes are not owed to a sink that wants them`);
    if (row!.expired > 0 && !this.#mayExpire) this.#breach(`${row!.expired} deliveries are given up as too old within the hour`);
    if (row!.odd > 0) this.#breach(`${row!.odd} deliveries are in no state or in two`);
  }

  /** Lets time pass until nothing is open any more, or for so long that it never will. */
  async #settle(): Promise<void> {
    const until = this.#time.now + settleMs;
    do {
      await this.#pass(60_000);
    } while (this.#time.now < until && (await this.#ask(`select 1 from delivery where open = 1 limit 1`)).length > 0);
  }

  /** What was refused a person replays; at the index what is older than it has stays. */
  async #replayParked(): Promise<number> {
    this.#replaying = true;
    const doing = { at: this.#server.wall(), actor: 'api' };
    const done = this.#code.replay(this.#database, {}, false, doing, ids =>
      this.#replicas.forEach(one => ids.forEach(id => one.workers.get(id)?.wake())),
    );
    await this.#pass(60_000);
    await this.#settle();
    const { replayed, skippedAsStale } = await done;
    this.#note(`${replayed} replayed, ${skippedAsStale} stale`);
    return skippedAsStale;
  }

  async #check(stale: number): Promise<void> {
    await this.#invariants();
    const open = await this.#ask<{ name: string; state: string; n: number }>(
      `select name, delivery.state, count(*) as n from delivery join sink on sink.id = delivery.sink where delivery.open = 1 or delivery.state = 'parked' group by 1, 2`,
    );
    for (const { name, state, n } of open)
      if (name !== 'index' || state !== 'parked' || n !== stale) this.#breach(`${n} deliveries of ${name} are still ${state}`);
    const kept = await this.#ask<{
      id: string;
      source: string;
      body: Uint8Array;
      revision: number | null;
      channelId: string;
      newest: number;
    }>(
      `select change.id, source, body, change.revision, channel.channel_id as "channelId", channel.revision as newest from change join channel on channel.id = change.channel`,
    );
    const ofWebhooks = kept.filter(({ source }) => source === 'webhook');
    const webhooks = ofWebhooks.map(row => ({ ...row, webhook: JSON.parse(Buffer.from(row.body).toString()) as StormWebhook }));
    if (kept.length - webhooks.length < 5) this.#breach('hardly anything was read: no hour');
    const markers = webhooks.map(({ webhook }) => webhook.Operator_Account);
    for (const marker of this.#acked) if (!markers.includes(marker)) this.#breach(`${marker} was acknowledged and is not there`);
    if (new Set(markers).size < markers.length) this.#breach('a webhook was recorded twice');
    for (const [channelId, own] of Map.groupBy(kept, row => row.channelId)) {
      const read = this.#read.filter(one => one.Official_Account === channelId);
      const { profile, exists } = expectedProfile([
        ...webhooks.filter(one => one.channelId === channelId).map(({ webhook }) => webhook),
        ...read,
      ]);
      const newest = own[0]!.newest;
      const told = this.#told.get(channelId);
      for (let revision = 1; revision <= newest; revision++)
        if (!told?.ids.has(revision)) this.#breach(`the CRM never got revision ${revision} of ${channelId}`);
      const document = this.#documents.get(channelId)?.delivery.event.data;
      if (JSON.stringify([document?.profile, document?.exists, document?.revision]) !== JSON.stringify([profile, exists, newest]))
        this.#breach(`the index has a wrong document of ${channelId}`);
    }
    for (const { id, source } of kept) {
      if (source === 'import') continue;
      const results = this.#cards.get(id)?.results ?? [];
      if (!this.#cards.has(id)) this.#breach(`there is no card of ${id}`);
      const parked = stale > 0 ? results.filter(({ sink, state }) => sink === 'index' && state === 'parked').length : 0;
      if (results.filter(({ state }) => state !== 'delivered' && state !== 'superseded').length > parked)
        this.#breach(`the card of ${id} does not tell the end: ${results.map(r => r.sink + ' ' + r.state).join(', ')}`);
    }
    if (this.#webhooks < 1000 || this.#faults < 20) this.#breach(`only ${this.#webhooks} webhooks and ${this.#faults} faults: no hour`);
  }
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), reject(new Error('aborted'))), { once: true });
  });
}

function asWebhook(channelId: string, fields: Record<string, string>, at: number): StormWebhook {
  const told = Object.entries(fieldOf).flatMap(([name, field]) => (fields[field] === undefined ? [] : [[name, fields[field]]]));
  const body = { CallbackCommand: commands.changed, Official_Account: channelId, EventTime: at, Operator_Account: '' };
  return { ...body, ...(Object.fromEntries(told) as Record<string, string>) };
}

function receiptOf(webhook: StormWebhook, id: string, receivedAt: number): InboundWebhook {
  const fields: Record<string, string> = {};
  for (const [told, field] of [
    ['Name', 'name'],
    ['FaceUrl', 'avatarUrl'],
    ['Introduction', 'introduction'],
    ['Organization', 'organization'],
  ] as const)
    if (typeof webhook[told] === 'string') fields[field] = webhook[told];
  const command = (Object.keys(commands) as (keyof typeof commands)[]).find(word => commands[word] === webhook.CallbackCommand)!;
  return {
    id,
    sdkAppId: '1400000001',
    channelId: webhook.Official_Account,
    command,
    operator: webhook.Operator_Account,
    eventTime: webhook.EventTime,
    eventTimeEstimated: false,
    ...byWebhook,
    receivedAt,
    fields,
    body: Buffer.from(JSON.stringify(webhook)),
  };
}
