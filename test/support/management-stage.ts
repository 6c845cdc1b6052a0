import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { v7 as uuid } from 'uuid';
import type { InboundWebhook } from '../../src/channel/inbound-webhook.js';
import { byWebhook, recorderAt, soundEvents } from './engine.js';
import { EngineEvents } from '../../src/process/engine-events.js';
import { Clock, SharedClock } from '../../src/process/clock.js';
import { Database } from '../../src/database/database.js';
import { StoredLookups } from '../../src/management/lookup/lookups.js';
import { Lookups } from '../../src/sinks/lookup.js';
import { Checks } from '../../src/checks/checks.js';
import { type ServedSink, ServedSinks } from '../../src/sinks/served-sinks.js';
import { EngineLog } from '../../src/management/engine-log.js';
import type { WebhookIntake } from '../../src/intake/intake.js';
import type { Recorder } from '../../src/channel/recorder.js';
import { Lanes } from '../../src/delivery/lanes.js';
import { type ConfiguredSink, registerSinks } from '../../src/sinks/registry.js';
import type { RegisteredSink } from '../../src/sinks/registry.js';
import type { LaneWork } from '../../src/delivery/work.js';
import { AdminActions } from '../../src/management/admin-actions.js';
import { Log } from '../../src/process/log.js';
import { ManagementModule, configureManagement } from '../../src/management/management.module.js';
import { Metrics } from '../../src/management/metrics.js';
import { ParkedLog } from '../../src/management/parked-log.js';
import { Readiness } from '../../src/management/readiness.js';
import { Settings, readSettings } from '../../src/settings/settings.js';
import type { Delivery } from '../../src/sinks/sink.js';
import { Refused, type SinkError, TryAgain } from '../../src/sinks/errors.js';
import { expectNoSecret, mark } from './planted.js';

export const token = `${mark}-ü`;
export const start = Date.UTC(2026, 0, 1);
export const channelId = '@TOA#_shop/新闻 100%';
export const path = `/api/v1/channels/1400000001/${encodeURIComponent(channelId)}`;

class TestClock extends Clock {
  at = start;
  override now(): number {
    return this.at;
  }
  override monotonic(): number {
    return this.at;
  }
  override random(): number {
    return 0;
  }
}

export interface Answer {
  status: number;
  headers: Headers;
  // The tests read whatever the answer should have.
  body: any; // oxlint-disable-line typescript/no-explicit-any
}

/** The management side on a free port, with a recorder and a worker's hands. No answer and no line of its log may hold a secret. */
export class Stage {
  readonly clock = new TestClock();
  readonly woken: number[][] = [];
  readonly searchSinks: { id: number; name: string }[] = [];
  /** The sinks that this process serves, with `ServedSinks.all`'s fields. */
  readonly servedSinks: ServedSink[] = [];
  readonly logged: Record<string, unknown>[] = [];
  readonly readiness: Readiness;
  /** Of an opened stage. */
  auditActions!: AdminActions;
  checks!: Checks;
  parkedLog!: ParkedLog;
  log!: Log;
  events!: EngineEvents;
  private readonly recorder: Recorder;
  private readonly lanes: Lanes;
  private app!: NestExpressApplication;
  private url!: string;
  private arrivals = 0;

  constructor(readonly database: Database) {
    this.readiness = new Readiness(database, { spoolWorks: false } as WebhookIntake, new Clock(), new EngineEvents());
    this.recorder = recorderAt(database, () => this.clock.now());
    this.lanes = new Lanes(database, uuid, () => 0);
  }

  async open(environment: Record<string, string> = { MANAGEMENT_TOKEN: token }): Promise<void> {
    const { database, clock } = this;
    const metrics = new Metrics(
      database,
      clock,
      { spooled: 7 } as WebhookIntake,
      readSettings({ SDK_APP_IDS: '1400000001', ...environment }),
    );
    this.log = new Log(
      'debug',
      () => clock.now(),
      line => void this.logged.push(JSON.parse(line) as Record<string, unknown>),
    );
    const settings = readSettings({ SDK_APP_IDS: '1400000001', ...environment });
    const served = { all: this.servedSinks, searches: this.searchSinks } as unknown as ServedSinks;
    const events = soundEvents().on('due', sinks => this.woken.push([...sinks!]));
    const { log } = this;
    new EngineLog(events, log, metrics, database);
    this.parkedLog = new ParkedLog(events, database, log);
    this.events = events;
    this.auditActions = new AdminActions(database, clock, log, events, settings);
    this.checks = new Checks(database, settings, served, clock, events, log);
    const shared = new Map<unknown, unknown>([
      [Settings, settings],
      [Database, database],
      [Metrics, metrics],
      [Readiness, this.readiness],
      [SharedClock, clock],
      [Log, log],
      [AdminActions, this.auditActions],
      [Checks, this.checks],
      [Lookups, new StoredLookups(database, clock, settings)],
      [ServedSinks, served],
    ]);
    const module = ManagementModule.beside({ get: <T>(token: unknown) => shared.get(token) as T });
    this.app = await NestFactory.create<NestExpressApplication>(module, { logger: false, abortOnError: false });
    configureManagement(this.app);
    await this.app.listen(0, '127.0.0.1');
    this.url = (await this.app.getUrl()).replace('[::1]', '127.0.0.1');
  }

  async close(): Promise<void> {
    await this.app.close();
    expectNoSecret(JSON.stringify(this.logged));
  }

  async call(
    path: string,
    {
      method = 'GET',
      authorization = `Bearer ${Buffer.from(token).toString('latin1')}`,
      ...rest
    }: { method?: string; authorization?: string | null; body?: string } = {},
  ): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers: { ...(authorization !== null && { authorization }), 'content-type': 'application/json' },
      ...rest,
    });
    const text = await response.text();
    expectNoSecret(JSON.stringify([...response.headers]) + text);
    const json = response.headers.get('content-type')?.includes('json') ?? false;
    return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text };
  }

  register(...sinks: (Pick<ConfiguredSink, 'name'> & Partial<ConfiguredSink>)[]): Promise<RegisteredSink[]> {
    return registerSinks(
      this.database,
      sinks.map(sink => ({ type: 'webhook', mode: 'log', filters: {}, ...sink })),
      this.clock.now(),
    );
  }

  /** Keeps a webhook that arrives one second after the one before. */
  async record(told: Partial<InboundWebhook> & { name?: string } = {}): Promise<string> {
    this.arrivals += 1;
    this.clock.at = Math.max(this.clock.at, start) + 1000;
    const { name = `name ${this.arrivals}`, ...rest } = told;
    const webhook: InboundWebhook = {
      id: uuid(),
      sdkAppId: '1400000001',
      channelId,
      command: 'changed',
      operator: 'leckie',
      eventTime: this.clock.at - 500,
      eventTimeEstimated: false,
      ...byWebhook,
      receivedAt: this.clock.at,
      fields: { name },
      body: Buffer.from('{}'),
      ...rest,
    };
    await this.recorder.record(webhook, 5000);
    return webhook.id;
  }

  /** Keeps a webhook of each of so many channels. */
  async recordMany(channels: number): Promise<void> {
    await Promise.all(Array.from({ length: channels }, (_, index) => this.record({ channelId: `channel ${index}` })));
  }

  /** One attempt of a sink at everything that is due: a failure, or success. */
  async attempt(sink: RegisteredSink, failure?: SinkError, take?: (deliveries: Delivery[]) => Promise<unknown>): Promise<void> {
    const claim = { attempts: 2000, batchSize: 1, bytes: 1e9, leaseMs: 30_000, probeMs: 30_000, perSecond: null };
    const at = this.clock.at;
    const works: LaneWork[] = [];
    for (let more = true; more;) {
      const { claimed } = await this.lanes.turn(sink, [], 86_400_000, claim, at);
      works.push(...claimed.flat());
      more = claimed.length > 0;
    }
    await take?.(works.map(work => work.delivery));
    const ended = works.map(work => ({ at, durationMs: 12, answers: [{ work, answer: failure ? { failure } : { messageRef: null } }] }));
    await this.lanes.turn(sink, ended, 86_400_000, { ...claim, attempts: 0 }, at);
  }
}

export const down = (): TryAgain => new TryAgain(['as_said', 'it answered 502'], ['as_said', 'Look at the CRM.'], 502);
export const never = (): Refused => new Refused(['as_said', 'it answered 422'], ['as_said', 'Correct the name.'], 422);
