import dns from 'node:dns';
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { inEnglish } from '../src/explanations/explanation.js';
import type { ChangeEvent, Delivery } from '../src/sinks/sink.js';
import type { Sink } from '../src/sinks/sink-type.js';
import { Misconfigured, Refused, SinkError, TryAgain } from '../src/sinks/errors.js';
import type { Report } from '../src/sinks/report-sink.js';
import type { SinkSettings } from '../src/sinks/settings.js';
import {
  type Answer,
  type FakeServer,
  type FakeServerOptions,
  type Handler,
  type ReceivedRequest,
  fakeServer,
} from './support/fake-server.ts';

/** What an attempt ended in. */
export type Outcome = 'delivered' | SinkError['outcome'];

/** One more thing that the sink's target may say, such as Slack's 200 with `ok: false`. */
export interface ContractCase {
  says: string;
  answer: Answer;
  outcome: Outcome;
  /** What the error's `retryAfterMs` must be. */
  retryAfterMs?: number;
}

export interface SinkContract {
  /** Makes the sink with its target at `origin` (`http://host:port`), its secrets planted, and these settings. Put its type's own timeouts to `TIMEOUT_MS`. */
  open(origin: string, overrides: Partial<SinkSettings>): Promise<Sink>;
  /** Every secret that `open` plants: user info of the URL, tokens in its path, headers, keys. Their base64 and percent-encoded forms are looked for, too. */
  secrets: string[];
  /**
   * How the target says this status; `text` is to be somewhere in its body, so that the suite can see it leak. `request` is there for
   * targets whose answer depends on it (a bulk answer has one item per document). By default `{"error": text}`.
   */
  answer?: (status: number, text: string, request: ReceivedRequest) => Answer;
  /** Requests that are not the delivery itself, such as making the index: answered so in every test, and not counted as requests of the delivery. */
  setup?: (request: ReceivedRequest) => Answer | undefined;
  /** The outcome of a status where this sink differs from the common table. */
  classes?: (status: number) => Outcome | undefined;
  /** The statuses to try; all from 200 to 599 unless given. */
  statuses?: number[];
  /** Answers only this sink's target knows. */
  cases?: ContractCase[];
}

/** The table "What to answer" of docs/crm.md, written down a second time. */
function outcomeOf(status: number): Outcome {
  if (status < 300) return 'delivered';
  if (status < 400 || [401, 403, 404, 410].includes(status)) return 'misconfigured';
  if ([408, 425, 429].includes(status) || status >= 500) return 'retry';
  return 'refused';
}

const classOf = { retry: TryAgain, refused: Refused, misconfigured: Misconfigured };

/** In every answer of the fake target. */
const answerText = 'text-of-the-answer-7c1f';

/** A change as the contract's example tells it. */
export function exampleEvent(overrides: Partial<ChangeEvent['data']> = {}): ChangeEvent {
  return {
    type: 'channel.profile.updated',
    timestamp: '2022-12-09T08:26:54.123Z',
    data: {
      changeId: '01980000-0000-7000-8000-000000000001',
      sdkAppId: '1400000001',
      channelId: '@TOA#_test_OA_for_penn',
      revision: 3,
      exists: true,
      operator: 'leckie',
      source: 'webhook',
      changes: [{ field: 'name', from: 'Old name', to: 'NewName' }],
      profile: {
        name: 'NewName',
        avatarUrl: 'http://this.is.newface.url',
        introduction: 'NewNotification',
        organization: 'NewOrganization',
      },
      ...overrides,
    },
  };
}

let deliveries = 0;

/** A delivery with an id of its own. */
export function exampleDelivery(overrides: Partial<Delivery> = {}): Delivery {
  deliveries += 1;
  const id = `01980000-0000-7000-9000-${String(deliveries).padStart(12, '0')}`;
  const origin = { clientIp: '203.0.113.7', platform: 'RESTAPI', owner: 'u1001' };
  return { id, event: exampleEvent(), origin, version: 1_670_574_414_123, updatedAt: '2022-12-09T08:26:54.123Z', ...overrides };
}

/** A report that was never shown, of a change that every other sink has by now. */
export function exampleReport(overrides: Partial<Report> = {}): Report {
  return {
    ...exampleDelivery(),
    receivedAt: Date.now(),
    eventTimeEstimated: false,
    tie: false,
    stale: [],
    results: [
      {
        sink: 'crm',
        state: 'delivered',
        reason: null,
        durationMs: 42,
        nextAttemptAt: null,
        endedAt: null,
        held: null,
        skipped: false,
      },
    ],
    auditActions: [],
    possiblyPostedSince: null,
    messageRef: null,
    ...overrides,
  };
}

/** One attempt at a sink of any form: `null` if it delivered, the error it told otherwise. Throws what is no `SinkError`, such as a cancellation. */
export async function attempt(
  sink: Sink,
  delivery: Delivery = exampleReport(),
  signal: AbortSignal = new AbortController().signal,
): Promise<SinkError | null> {
  try {
    if ('deliver' in sink) {
      await sink.deliver(delivery, signal);
    } else if ('deliverMany' in sink) {
      const answers = await sink.deliverMany([delivery], signal);
      expect(answers).toHaveLength(1);
      return answers[0] ?? null;
    } else {
      const messageRef = await sink.report(exampleReport(delivery), signal);
      expect(typeof messageRef).toBe('string');
    }
    return null;
  } catch (error) {
    if (error instanceof SinkError) return error;
    throw error;
  }
}

/** Fails if any form in which an error may be printed carries one of these texts; but for the target's answer, which may repeat what it was sent. */
export function expectNoLeak(failure: unknown, texts: readonly string[]): void {
  const error: unknown =
    failure instanceof SinkError ? Object.assign(Object.create(failure) as SinkError, { ...failure, response: null }) : failure;
  const { message, stack, cause, advice } = error as Partial<SinkError>;
  const printed = [message, advice && inEnglish(advice), stack, String(error), inspect(cause, { depth: 10, showHidden: true })];
  printed.push(JSON.stringify(error), inspect(error, { depth: 10, showHidden: true }));
  const forms = texts.flatMap(text => [text, encodeURIComponent(text), Buffer.from(text).toString('base64').replace(/=+$/, '')]);
  const leaked = [...new Set(forms)].filter(form => printed.some(print => print?.includes(form)));
  expect(leaked).toEqual([]);
}

/** Names under `.invalid` give this code, whatever the DNS of the machine does with them. */
function failLookupsWith(code: 'ENOTFOUND' | 'EAI_AGAIN'): () => void {
  const { lookup } = dns;
  function failing(hostname: string, ...rest: unknown[]): void {
    if (!hostname.endsWith('.invalid')) return Reflect.apply(lookup, dns, [hostname, ...rest]) as void;
    const error = Object.assign(new Error(`getaddrinfo ${code} ${hostname}`), { code, errno: -3008, syscall: 'getaddrinfo', hostname });
    const callback = rest.at(-1) as (error: Error) => void;
    process.nextTick(callback, error);
  }
  Object.assign(dns, { lookup: failing });
  return () => void Object.assign(dns, { lookup });
}

/** A port that nothing listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise(resolve => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

/** One target, one sink, and the clean-up of both. */
class Bench {
  private readonly open = new Set<{ close?(): Promise<void> }>();

  constructor(private readonly contract: SinkContract) {}

  /** A target that deals with every request of a delivery so; what belongs to the sink's set-up is answered as the sink's spec says. */
  async target(handler: Handler, { onHead, ...options }: FakeServerOptions = {}): Promise<FakeServer> {
    const server = await fakeServer(
      (request, response) => {
        const setup = this.contract.setup?.(request);
        if (setup) server.requests.splice(server.requests.indexOf(request), 1);
        return setup ?? handler(request, response);
      },
      { ...options, ...(onHead && { onHead }) },
    );
    this.open.add(server);
    return server;
  }

  async sink(origin: string, overrides: Partial<SinkSettings> = {}): Promise<Sink> {
    const sink = await this.contract.open(origin, { TIMEOUT_MS: 5000, ...overrides });
    this.open.add(sink);
    return sink;
  }

  /** As `attempt`, with every error looked at for leaks. */
  async attempt(sink: Sink, signal?: AbortSignal): Promise<SinkError | null> {
    try {
      const error = await attempt(sink, exampleReport(), signal);
      if (error) this.expectClean(error);
      return error;
    } catch (error) {
      this.expectClean(error);
      throw error;
    }
  }

  /** A failure repeats what it was sent, which holds secrets. */
  answer(status: number, request: ReceivedRequest): Answer {
    const answer = this.contract.answer?.(status, answerText, request) ?? { status, body: { error: answerText } };
    const { headers, path } = request;
    return status >= 300 && typeof answer.body === 'object' ? { ...answer, body: { ...answer.body, headers, path } } : answer;
  }

  outcome(status: number): Outcome {
    return this.contract.classes?.(status) ?? outcomeOf(status);
  }

  async close(): Promise<void> {
    for (const one of this.open) await one.close?.();
    this.open.clear();
  }

  private expectClean(error: unknown): void {
    const { name, introduction, organization } = exampleEvent().data.profile;
    expectNoLeak(error, [...this.contract.secrets, answerText, name ?? '', introduction ?? '', organization ?? '']);
    if (error instanceof SinkError) expectNoLeak({ message: error.response ?? '', advice: error.reason }, this.contract.secrets);
  }
}

/** What every sink that talks HTTP must do, whatever it sends: call it once in the sink's spec. */
export function sinkContract(type: string, contract: SinkContract): void {
  describe(`sink contract: ${type}`, () => {
    const bench = new Bench(contract);
    const proxies = Object.entries(process.env).filter(([name]) => /^(https?|all|no)_proxy$/i.test(name));

    beforeAll(() => {
      for (const [name] of proxies) delete process.env[name];
    });
    afterAll(() => void Object.assign(process.env, Object.fromEntries(proxies)));
    afterEach(() => bench.close());

    answers(bench, contract);
    network(bench);
    time(bench);
    cancelling(bench);
  });
}

function expectOutcome(error: SinkError | null, outcome: Outcome): asserts error is SinkError {
  expect(error?.outcome ?? 'delivered').toBe(outcome);
  if (outcome === 'delivered') return;
  expect(error).toBeInstanceOf(classOf[outcome]);
  expect(error?.message).not.toBe('');
  expect(error && inEnglish(error.advice)).toMatch(/^[A-Z].* .*\.$/);
}

function answers(bench: Bench, { statuses, cases = [] }: SinkContract): void {
  it('gives every status its class', async () => {
    let status = 0;
    const target = await bench.target(request => bench.answer(status, request));
    const sink = await bench.sink(target.url);
    const told: Record<number, Outcome> = {};
    const expected: Record<number, Outcome> = {};
    for (status of statuses ?? Array.from({ length: 400 }, (_, index) => 200 + index)) {
      const error = await bench.attempt(sink);
      told[status] = error?.outcome ?? 'delivered';
      expected[status] = bench.outcome(status);
      if (error) expectOutcome(error, error.outcome);
      if (error) expect([status, null]).toContain(error.status);
    }
    expect(told).toEqual(expected);
    // Hundreds of attempts, each on a connection of its own, on a machine that may be busy.
  }, 30_000);

  it('keeps what the target answered', async () => {
    const target = await bench.target(request => bench.answer(400, request));
    const error = await bench.attempt(await bench.sink(target.url));
    expect(error?.response).toContain(answerText);
    expect(Array.from(error!.response!).length).toBeLessThanOrEqual(500);
    const reason = inEnglish(error!.reason);
    expect(reason.startsWith(`${error?.message} — `)).toBe(true);
    expect(reason.length).toBeLessThanOrEqual(error!.message.length + 3 + 120);
  });

  it('sends one request per attempt: the retries are not the sink’s', async () => {
    const target = await bench.target(request => bench.answer(503, request));
    await bench.attempt(await bench.sink(target.url));
    expect(target.requests).toHaveLength(1);
  });

  it.each([
    ['seconds', () => '7', 7000, 7000],
    ['no wait', () => '0', 0, 0],
    ['a date', () => new Date(Date.now() + 30_000).toUTCString(), 27_000, 30_000],
    ['a past date', () => 'Wed, 21 Oct 2015 07:28:00 GMT', 0, 0],
    ['more than an hour', () => '7200', 3_600_000, 3_600_000],
    ['a date beyond an hour', () => new Date(Date.now() + 86_400_000).toUTCString(), 3_600_000, 3_600_000],
    ['nonsense', () => answerText, 0, 0],
  ])('obeys a Retry-After of %s', async (_, value, least, most) => {
    let status = 429;
    const target = await bench.target(request => {
      const answer = bench.answer(status, request);
      return { ...answer, headers: { ...answer.headers, 'retry-after': value() } };
    });
    const sink = await bench.sink(target.url);
    for (status of [429, 503]) {
      const error = await bench.attempt(sink);
      expectOutcome(error, 'retry');
      const { retryAfterMs } = error as TryAgain;
      expect(retryAfterMs).toBeGreaterThanOrEqual(least);
      expect(retryAfterMs).toBeLessThanOrEqual(most);
    }
  });

  it.each([301, 302, 303, 307, 308])('never follows a redirect (%i)', async status => {
    const elsewhere = await bench.target(request => bench.answer(200, request));
    const target = await bench.target(request => {
      const answer = bench.answer(status, request);
      return { ...answer, headers: { ...answer.headers, location: `${elsewhere.url}/elsewhere` } };
    });
    expectOutcome(await bench.attempt(await bench.sink(target.url)), 'misconfigured');
    expect(elsewhere.requests).toEqual([]);
  });

  if (cases.length > 0) {
    it.each(cases)('knows $says', async ({ answer, outcome, retryAfterMs }) => {
      const target = await bench.target(() => answer);
      const error = await bench.attempt(await bench.sink(target.url));
      expectOutcome(error, outcome);
      if (retryAfterMs !== undefined) expect((error as TryAgain).retryAfterMs).toBe(retryAfterMs);
    });
  }
}

function network(bench: Bench): void {
  it('tries again when nothing listens', async () => {
    const error = await bench.attempt(await bench.sink(`http://127.0.0.1:${await closedPort()}`));
    expectOutcome(error, 'retry');
    expect(error.message).toMatch(/refused/);
    expect(error.status).toBeNull();
  });

  it('tries again when the connection is reset before the body is read', async () => {
    const target = await bench.target(() => {}, { onHead: message => message.socket.resetAndDestroy() });
    expectOutcome(await bench.attempt(await bench.sink(target.url)), 'retry');
  });

  it('tries again when the connection is reset after the body was read: it may have arrived', async () => {
    const target = await bench.target((_, response) => void response.socket?.resetAndDestroy());
    expectOutcome(await bench.attempt(await bench.sink(target.url)), 'retry');
  });

  it('tries again when the connection ends without an answer', async () => {
    const target = await bench.target((_, response) => void response.socket?.end());
    expectOutcome(await bench.attempt(await bench.sink(target.url)), 'retry');
  });

  it('tries again when the answer is not HTTP', async () => {
    const target = await bench.target((_, response) => void response.socket?.end(`SSH-2.0-${answerText}\r\n\r\n`));
    expectOutcome(await bench.attempt(await bench.sink(target.url)), 'retry');
  });

  it('works again after a failure', async () => {
    let broken = true;
    const target = await bench.target((request, response) =>
      broken ? void response.socket?.resetAndDestroy() : bench.answer(200, request),
    );
    const sink = await bench.sink(target.url);
    expectOutcome(await bench.attempt(sink), 'retry');
    broken = false;
    expectOutcome(await bench.attempt(sink), 'delivered');
  });

  it.each([
    ['ENOTFOUND', 'misconfigured'],
    ['EAI_AGAIN', 'retry'],
  ] as const)('takes a look-up that ends in %s as %s', async (code, outcome) => {
    const restore = failLookupsWith(code);
    try {
      expectOutcome(await bench.attempt(await bench.sink('http://channel-sync-test.invalid')), outcome);
    } finally {
      restore();
    }
  });
}

/** One attempt's total time in these tests, in milliseconds, and how much later a slow machine may tell of its end. */
const timeoutMs = 300;
const slackMs = 2000;

function time(bench: Bench): void {
  async function timed(target: FakeServer): Promise<SinkError | null> {
    const sink = await bench.sink(target.url, { TIMEOUT_MS: timeoutMs });
    const start = performance.now();
    const error = await bench.attempt(sink);
    expect(performance.now() - start).toBeLessThan(timeoutMs + slackMs);
    return error;
  }

  it('gives up on a target that never answers', async () => {
    const start = performance.now();
    const error = await timed(await bench.target(() => {}));
    expect(performance.now() - start).toBeGreaterThan(timeoutMs - 50);
    expectOutcome(error, 'retry');
    expect(error.message).toMatch(/timed out/);
  });

  it('bounds the total time of an answer whose head drips', async () => {
    const target = await bench.target((_, response) => {
      const { socket } = response;
      socket?.write('HTTP/1.1 200 OK\r\nx-drip: ');
      drip(() => socket?.write('x'), response);
    });
    const error = await timed(target);
    expectOutcome(error, 'retry');
    expect(error.message).toMatch(/timed out/);
  });

  it('bounds the total time of an answer whose body drips', async () => {
    const target = await bench.target((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{');
      drip(() => response.write(' '), response);
    });
    const error = await timed(target);
    // A sink to whom the status says it all may count it as delivered.
    expect([null, 'retry']).toContain(error?.outcome ?? null);
  });
}

/** Calls `write` every 50 ms until the other side is gone. */
function drip(write: () => void, response: { socket: { once(event: 'close', listener: () => void): unknown } | null }): void {
  const timer = setInterval(write, 50);
  response.socket?.once('close', () => clearInterval(timer));
}

function cancelling(bench: Bench): void {
  async function expectCancelled(sink: Sink, signal: AbortSignal): Promise<void> {
    let thrown: unknown;
    try {
      thrown = await bench.attempt(sink, signal);
    } catch (error) {
      thrown = error;
    }
    expect(thrown === signal.reason || (thrown instanceof Error && thrown.name === 'AbortError')).toBe(true);
  }

  it('sends nothing when it is cancelled from the start', async () => {
    const target = await bench.target(request => bench.answer(200, request));
    const sink = await bench.sink(target.url);
    await expectCancelled(sink, AbortSignal.abort(new Error('the lease is lost')));
    expect(target.requests).toEqual([]);
  });

  it('stops at once when it is cancelled', async () => {
    const target = await bench.target(() => {});
    const sink = await bench.sink(target.url);
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('the lease is lost')), 100);
    const start = performance.now();
    await expectCancelled(sink, controller.signal);
    expect(performance.now() - start).toBeLessThan(1500);
  });

  it('can be closed while an attempt is under way, and twice', async () => {
    const target = await bench.target(() => {});
    const sink = await bench.sink(target.url, { TIMEOUT_MS: timeoutMs });
    const ended = bench.attempt(sink).catch(() => null);
    await sink.close?.();
    await sink.close?.();
    await ended;
  });
}
