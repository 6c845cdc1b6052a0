import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { FakeSearch } from '../support/fake-search.ts';
import { type Answer, type FakeServer, type ReceivedRequest, fakeServer } from '../support/fake-server.ts';
import { expectNoSecret, mark, signingSecret } from '../support/planted.ts';
import { ServiceProcess } from '../support/process.ts';
import { until } from '../support/until.ts';
import { Comparing, type ComparingReport } from './comparing.ts';
import { Dice } from './dice.ts';
import { look } from './look.ts';
import { type JobState, Oracle, type ToldEvent } from './oracle.ts';
import { VendorWorld } from './vendor-world.ts';
import { WebhookSource, type Webhooks } from './webhooks.ts';

/** How many channels there are at a time, and after how many webhooks one of them is followed by another. */
const channels = 12;
const silentAfter = 20;
const senders = 8;
/** How often the sinks misbehave. */
const misbehaviour = 0.1;
const settleWithinMs = 120_000;
/** What need not happen in a small storm. */
const rare = ['rebuilds', 'rebuildsCut', 'vendorFaults', 'comparisonsCut'];
const alias = 'official-channels';

export interface StormOptions {
  kills: number;
  seed: number;
  /** Where the service keeps its tables, and its spool. */
  databaseUrl: string;
  folder: string;
  /** More than one only on PostgreSQL. */
  replicas: number;
  /** In the first half of the kills the search index is built anew, again and again; a page of that which a kill cut off is taken up ten seconds later where replicas share the store. */
  rebuild: boolean;
  /** Webhooks are lost on their way, and the channels are compared with the vendor again and again. */
  compare: boolean;
  tell?: (line: string) => void;
}

export interface StormReport extends Partial<ComparingReport> {
  kills: number;
  webhooks: number;
  acked: number;
  unanswered: number;
  repeats: number;
  outOfOrder: number;
  misbehaved: number;
  sentAgain: number;
  rebuilds: number;
  /** How often a rebuild that was under way had to go on after a kill. */
  rebuildsCut: number;
  breaches: string[];
}

/** Random SIGKILLs under load, with sinks that misbehave, and an oracle that knows what was answered and what arrived. */
export class Storm {
  readonly #oracle = new Oracle();
  readonly #dice: Dice;
  readonly #search = new FakeSearch();
  readonly #running: { service: ServiceProcess; url: string }[] = [];
  #servers: FakeServer[] = [];
  #source!: Webhooks;
  #comparing: Comparing | null = null;
  #quiet = false;
  readonly #over = new AbortController();
  #counts = {
    kills: 0,
    webhooks: 0,
    unanswered: 0,
    misbehaved: 0,
    sentAgain: 0,
    rebuilds: 0,
    rebuildsCut: 0,
  };
  #rebuildBegan: string | null = null;
  #ids = new Set<string>();

  readonly #options: StormOptions;

  constructor(options: StormOptions) {
    this.#options = options;
    this.#dice = new Dice(options.seed);
  }

  async run(): Promise<StormReport> {
    const { kills, replicas, tell } = this.#options;
    const [source, faults, vendorFaults] = [1, 2, 3].map(more => new Dice(this.#options.seed + more)) as [Dice, Dice, Dice];
    const world = this.#options.compare ? await VendorWorld.begin(source, channels, silentAfter, vendorFaults) : null;
    this.#source = world ?? new WebhookSource(source, channels, Date.now, silentAfter);
    this.#comparing = world && new Comparing(world, (method, path, body) => this.#call(method, path, body));
    this.#servers = [
      await fakeServer((request, response) => this.#crm(faults, request, response)),
      await fakeServer((request, response) => this.#index(faults, request, response)),
    ];
    try {
      while (this.#running.length < replicas) await this.#start();
      let going = true;
      const load = Array.from({ length: senders }, async () => {
        while (going) await this.#send();
      });
      const watch = this.#watch();
      while (this.#counts.kills < kills) {
        await sleep(100 + this.#dice.below(600));
        await this.#kill();
        // A rebuild that ends later would make good what deliveries left out.
        if (this.#options.rebuild) await (this.#counts.kills < kills / 2 ? this.#rebuild() : this.#ended('rebuild'));
        await this.#comparing?.again();
        if (this.#counts.kills % 10 === 0)
          tell?.(`${this.#counts.kills} of ${kills} kills, ${this.#oracle.acked.size} webhooks answered 200`);
      }
      // On a slow machine no sink may have been asked often enough.
      await until(() => this.#counts.misbehaved > 0, 'a sink that misbehaves', 30_000);
      going = false;
      await Promise.all(load);
      // What was spooled by the killed is taken over after a minute of silence.
      this.#quiet = true;
      await Promise.all([this.#settle(), this.#comparing?.agree()]);
      await this.#settle();
      this.#oracle.checkJobs({ rebuild: await this.#ended('rebuild'), verify: await this.#verify() }, this.#search.documents(alias));
      this.#over.abort();
      await watch;
      return await this.#report();
    } finally {
      this.#over.abort();
      await Promise.all(this.#running.map(({ service }) => service.kill()));
      for (const server of this.#servers) await server.close();
      await this.#comparing?.world.close();
    }
  }

  async #start(): Promise<void> {
    const { databaseUrl, folder } = this.#options;
    const [crm, index] = this.#servers;
    const service = new ServiceProcess({
      DATABASE_URL: databaseUrl,
      MANAGEMENT_TOKEN: mark,
      SPOOL_DIR: join(folder, 'spool'),
      SINK_CRM_TYPE: 'webhook',
      SINK_CRM_URL: `${crm!.url}/crm`,
      SINK_CRM_TIMEOUT_MS: '500',
      SINK_SEARCH_TYPE: 'opensearch',
      SINK_SEARCH_URL: index!.url,
      SINK_SEARCH_TIMEOUT_MS: '1000',
      SINK_LINES_TYPE: 'log',
      ...this.#comparing?.environment,
    });
    const { url } = await service.listening();
    await service.delivering();
    this.#running.push({ service, url });
  }

  async #kill(): Promise<void> {
    const [victim] = this.#running.splice(this.#dice.below(this.#running.length), 1);
    const { service } = victim!;
    await service.kill();
    this.#readLines(service);
    this.#counts.kills += 1;
    await this.#start();
  }

  /** What a process wrote on standard output is what its log sink took; two processes write side by side, so only one is held to an order. */
  #readLines(service: ServiceProcess): void {
    if (this.#options.replicas > 1) return;
    for (const line of service.lines) if (line['msg'] === 'channel change') this.#oracle.took('lines', 'line', line['event'] as ToldEvent);
    service.lines.length = 0;
  }

  async #send(): Promise<void> {
    const target = this.#running[this.#dice.below(this.#running.length)];
    if (!target) {
      await sleep(5);
      return;
    }
    const webhook = this.#source.next();
    this.#counts.webhooks += 1;
    const query = new URLSearchParams({ SdkAppid: '1400000001', CallbackCommand: webhook.CallbackCommand });
    const answer = await fetch(`${target.url}/webhooks/tencent-chat?${query.toString()}`, {
      method: 'POST',
      body: JSON.stringify(webhook),
      signal: AbortSignal.timeout(5000),
    }).catch(() => null);
    if (answer?.status === 200) this.#oracle.acked.add(webhook.Operator_Account);
    else this.#counts.unanswered += 1;
    expectNoSecret((await answer?.text().catch(() => '')) ?? '');
    await sleep(this.#dice.below(10));
  }

  /** The CRM verifies what it takes, and now and then fails in every way. */
  #crm(faults: Dice, request: ReceivedRequest, response: ServerResponse): Answer | undefined {
    new Webhook(signingSecret).verify(request.body, request.headers as Record<string, string>);
    const id = String(request.headers['webhook-id']);
    if (this.#ids.has(id)) this.#counts.sentAgain += 1;
    this.#ids.add(id);
    const took = (): void => this.#oracle.took('crm', id, JSON.parse(request.body) as ToldEvent);
    const fault = this.#fault(faults);
    if (fault === 'took and reset' || fault === 'took and hung') took();
    if (fault === 'reset' || fault === 'took and reset') return void response.destroy();
    if (fault === 'took and hung') return undefined;
    if (fault === 'overloaded') return { status: 503 };
    if (fault === 'throttled') return { status: 429, headers: { 'retry-after': '1' } };
    took();
    return { status: 204 };
  }

  #index(faults: Dice, request: ReceivedRequest, response: ServerResponse): Answer | undefined {
    const fault = this.#fault(faults);
    if (fault === 'reset') return void response.destroy();
    if (fault === 'overloaded') return { status: 503, body: 'not now' };
    if (fault === 'throttled') this.#search.rejectNext(3);
    const answer = this.#search.answer(request);
    this.#oracle.finds(this.#search.documents(alias));
    if (fault === 'took and hung') return undefined;
    if (fault === 'took and reset') return void response.destroy();
    return answer;
  }

  #fault(faults: Dice): 'reset' | 'took and reset' | 'took and hung' | 'overloaded' | 'throttled' | null {
    if (this.#quiet || !faults.chance(misbehaviour)) return null;
    this.#counts.misbehaved += 1;
    return faults.pick(['reset', 'took and reset', 'took and hung', 'overloaded', 'throttled'] as const);
  }

  /** Begins a rebuild, unless one is under way. */
  async #rebuild(): Promise<void> {
    const documents = new Map(this.#search.documents(alias));
    const { startedAt } = await this.#job('POST', 'rebuild');
    if (startedAt === this.#rebuildBegan) this.#counts.rebuildsCut += 1;
    else this.#counts.rebuilds += 1;
    if (startedAt !== this.#rebuildBegan) this.#oracle.rebuilds(documents);
    this.#rebuildBegan = startedAt;
  }

  async #verify(): Promise<JobState> {
    await this.#job('POST', 'verify');
    return this.#ended('verify');
  }

  async #ended(kind: 'rebuild' | 'verify'): Promise<JobState> {
    let job = await this.#job('GET', kind);
    const over = async (): Promise<boolean> => (job = await this.#job('GET', kind)).state !== 'running';
    await until(over, `the end of the ${kind}`, settleWithinMs);
    return job;
  }

  #job(method: 'GET' | 'POST', kind: 'rebuild' | 'verify'): Promise<JobState> {
    return this.#call(method, `sinks/search/${kind}`);
  }

  async #call<T>(method: 'GET' | 'POST', path: string, body?: object): Promise<T> {
    const { managementUrl } = await this.#running[0]!.service.listening();
    const headers = { authorization: `Bearer ${mark}`, 'content-type': 'application/json' };
    const answer = await fetch(`${managementUrl}/api/v1/${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    const text = await answer.text();
    expectNoSecret(text);
    return JSON.parse(text) as T;
  }

  /** While it lasts, where the database can be looked at from outside. */
  async #watch(): Promise<void> {
    if (this.#options.databaseUrl.startsWith('sqlite:')) return;
    const tables = await look(this.#options.databaseUrl);
    for (; !this.#over.signal.aborted; await sleep(200)) await this.#oracle.checkAccounts(tables, ['crm', 'search', 'lines']);
    await tables.close();
  }

  /** Waits until nothing is pending and nothing spooled. */
  async #settle(): Promise<void> {
    const { service } = this.#running[0]!;
    const { managementUrl } = await service.listening();
    const idle = async (): Promise<boolean> => {
      const text = await (await fetch(`${managementUrl}/metrics`)).text();
      expectNoSecret(text);
      const pending = text.match(/^channel_sync_(pending\{.*\}|spooled) \d+$/gm) ?? [];
      return pending.length === 4 && pending.every(line => line.endsWith(' 0'));
    };
    await until(idle, 'nothing pending', settleWithinMs);
  }

  async #report(): Promise<StormReport> {
    for (const { service } of this.#running.splice(0)) {
      await service.stop();
      this.#readLines(service);
    }
    const tables = await look(this.#options.databaseUrl);
    const logSinks = this.#options.replicas > 1 ? ['crm'] : ['crm', 'lines'];
    const world = this.#comparing?.world ?? null;
    const breaches = [...(await this.#oracle.check(tables, logSinks, this.#search.documents(alias), world))];
    const { repeats, outOfOrder } = this.#source;
    const compared = await this.#comparing?.report(tables, breaches);
    await tables.close();
    const counts = { ...this.#counts, repeats, outOfOrder, acked: this.#oracle.acked.size, ...compared };
    // A storm in which something did not happen proves nothing.
    for (const [what, count] of Object.entries(counts))
      if (count === 0 && what !== 'unanswered' && (this.#options.rebuild || !rare.includes(what)))
        breaches.push(`no ${what}: this was no storm`);
    return { ...counts, breaches };
  }
}
