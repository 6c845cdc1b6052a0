import fc from 'fast-check';
import { v4, v7 as uuid } from 'uuid';
import { eachStore } from '../../test/support/stores.js';
import { byWebhook, recorderAt } from '../../test/support/engine.js';
import type { Database } from '../database/database.js';
import { Misconfigured, NotSent, Refused, type SinkError, TryAgain } from '../sinks/errors.js';
import type { Health } from './breaker.js';
import { Lanes } from './lanes.js';
import { registerSinks } from '../sinks/registry.js';
import { type Answer, settle } from './settlement.js';
import type { LaneWork } from './work.js';

const hourMs = 3_600_000;
const ages = { random: () => 0.5, retryMaxAgeMs: 1000 * hourMs };
const well: Health = {
  state: 'ok',
  state_since: null,
  reason: null,
  advice: null,
  failures: 0,
  config_error_seq: 0,
  cleared_up_to: 0,
  next_probe_at: null,
  next_round_robin_probe_at: null,
  paused_at: null,
  stopped_since: null,
  stopped_ms: 0,
};

const conflict = new Refused(['answered', 409], ['as_said', ''], 409);
const timedOut = new TryAgain(['timed_out'], ['as_said', '']);
const kinds: Record<string, SinkError> = {
  conflict,
  timedOut,
  overloaded: new TryAgain(['answered', 503], ['as_said', ''], 503),
  unreached: new NotSent(['connection_refused'], ['as_said', '']),
  misconfigured: new Misconfigured(['answered', 401], ['as_said', ''], 401),
};

/** The states of a delivery given these answers, up to its final state. */
function fate(answers: readonly SinkError[]): string[] {
  let [health, doubt] = [well, 0];
  const states: string[] = [];
  for (const failure of answers) {
    const delivery = { doubt, tries: 0, failing_since: null, stopped_ms: null, state: 'pending', delivery: {} };
    const work = { channel: 1, lane_tries: 0, config_error_seq: null, sinkConfigErrorSeq: 0, ...delivery } as unknown as LaneWork;
    const outcome = settle(health, { at: 0, durationMs: 1, answers: [{ work, answer: { failure } }] }, ages);
    // A conflict says nothing about the sink's health.
    expect(failure === conflict ? outcome.health : health).toEqual(health);
    health = outcome.health;
    states.push(outcome.settlements[0]!.delivery.state);
    doubt = outcome.settlements[0]!.delivery.doubt;
    if (states.at(-1) !== 'pending') break;
  }
  return states;
}

describe('a 409', () => {
  it.each<[string, SinkError[]]>([
    ['to a first attempt', []],
    ['after answers', [kinds['overloaded']!, kinds['misconfigured']!]],
    ['after connections that never were', [kinds['unreached']!]],
  ])('%s is refused', (_, before) => {
    expect(fate([...before, conflict])).toEqual([...before.map(() => 'pending'), 'parked']);
  });

  it.each<[string, SinkError[]]>([
    ['a time-out', [timedOut]],
    ['several', [timedOut, timedOut, timedOut]],
    ['a time-out and an answer', [timedOut, kinds['overloaded']!]],
  ])('after %s is waited out five times', (_, before) => {
    const states = fate([...before, ...Array.from({ length: 9 }, () => conflict)]);
    expect(states).toEqual([...Array.from({ length: before.length + 5 }, () => 'pending'), 'parked']);
  });

  it('of a proxy or a token endpoint stops the sink like any other answer of theirs', () => {
    const failure = new Misconfigured(['token_answered', 409], ['token_settings'], 409);
    const work = { doubt: 1, tries: 1, lane_tries: 1, config_error_seq: null, state: 'pending', delivery: {} } as unknown as LaneWork;
    const { health, settlements } = settle(well, { at: 0, durationMs: 1, answers: [{ work, answer: { failure } }] }, ages);
    expect(health.state).toBe('misconfigured');
    expect(settlements[0]!.delivery).toMatchObject({ state: 'pending', doubt: 1, reason: JSON.stringify(['token_answered', 409]) });
  });

  it('is waited out at most five times, and only after an attempt that may have arrived, whatever else there is', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...Object.keys(kinds)), { maxLength: 25 }), names => {
        const states = fate(names.map(name => kinds[name]!));
        const parkedAt = states.indexOf('parked');
        const lived = parkedAt === -1 ? names : names.slice(0, parkedAt);
        expect(lived.filter(name => name === 'conflict').length).toBeLessThanOrEqual(5);
        const before = lived.slice(0, lived.indexOf('conflict') + 1);
        expect(before.length === 0 || before.includes('timedOut')).toBe(true);
        if (parkedAt === -1) return;
        const conflicts = lived.filter(name => name === 'conflict').length;
        expect([names[parkedAt], lived.includes('timedOut') ? conflicts : 5]).toEqual(['conflict', 5]);
      }),
    );
  });
});

eachStore('a 409 of a target', store => {
  const claim = { attempts: 1, batchSize: 1, leaseMs: 1000, probeMs: 1000, perSecond: null, bytes: 1_000_000 };

  /** One sink with one delivery, attempted manually. */
  async function stage(database: Database) {
    let now = Date.UTC(2026, 0, 1);
    const lanes = new Lanes(database, v4, () => 0.5);
    const [sink] = await registerSinks(database, [{ name: 'crm', type: 'webhook', mode: 'log', filters: {} }], now);
    const recorder = recorderAt(database, () => now);
    const webhook = {
      id: uuid(),
      sdkAppId: '1',
      channelId: 'a',
      command: 'changed' as const,
      operator: null,
      eventTime: now,
      eventTimeEstimated: false,
      ...byWebhook,
    };
    await recorder.record({ ...webhook, receivedAt: now, fields: { name: 'x' }, body: Buffer.from('{}') }, 5000);
    const claimed = async (): Promise<LaneWork> =>
      (await lanes.turn(sink!, [], ages.retryMaxAgeMs, claim, (now += hourMs))).claimed[0]![0]!;
    const tell = async (work: LaneWork, answer: Answer): Promise<string> => {
      const { health } = await lanes.turn(
        sink!,
        [{ at: now, durationMs: 1, answers: [{ work, answer }] }],
        ages.retryMaxAgeMs,
        { ...claim, attempts: 0 },
        now + 1,
      );
      expect(health).toMatchObject({ state: 'ok' });
      return (await database.kysely.selectFrom('delivery').select('state').executeTakeFirstOrThrow()).state;
    };
    return { claimed, tell, attempt: async (answer: Answer) => tell(await claimed(), answer) };
  }

  test('is remembered with the delivery: five are waited out after a time-out, and a success ends it', async () => {
    const { attempt } = await stage(await store.open());
    expect(await attempt({ failure: timedOut })).toBe('pending');
    for (let count = 0; count < 5; count += 1) expect(await attempt({ failure: conflict })).toBe('pending');
    expect(await attempt({ messageRef: null })).toBe('delivered');
  });

  test('is refused as the sixth', async () => {
    const { attempt } = await stage(await store.open());
    await attempt({ failure: timedOut });
    for (let count = 0; count < 5; count += 1) await attempt({ failure: conflict });
    expect(await attempt({ failure: conflict })).toBe('parked');
  });

  test('is waited out after an attempt whose process is gone, and refused as the first answer', async () => {
    const { claimed, attempt } = await stage(await store.open());
    await claimed();
    expect(await attempt({ failure: conflict })).toBe('pending');
    const other = await stage(await store.open());
    expect(await other.attempt({ failure: conflict })).toBe('parked');
  });
});
