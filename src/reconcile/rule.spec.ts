import fc from 'fast-check';
import { type ChannelState, type VendorEvent, emptyState, existsIn, join, profileOf, stateOf } from '../channel/merge.js';
import { type FieldName, fieldNames, unknownProfile } from '../channel/profile.js';
import { type Read, judge } from './rule.js';

const lagMs = 10_000;
const text = fc.constantFrom('', 'a', 'b', 'c');

/** The life of a channel at the vendor: created, changed, destroyed. */
interface Event extends VendorEvent {
  lost: boolean;
}
const events = fc
  .array(
    fc.record({
      command: fc.constantFrom('created' as const, 'changed' as const, 'changed' as const, 'destroyed' as const),
      gapMs: fc.integer({ min: 1, max: 8000 }),
      fields: fc.record({ name: text, avatarUrl: text, introduction: text, organization: text }, { requiredKeys: [] }),
      lost: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map(steps => {
    let at = 1_000_000;
    let exists = false;
    return steps.flatMap(({ command, gapMs, fields, lost }): Event[] => {
      at += gapMs;
      // Only a missing channel can be created, and only an existing one changed or destroyed.
      if ((command === 'created') === exists) return [];
      exists = command !== 'destroyed';
      // A created event carries only the name.
      const named = command === 'created' ? { name: fields.name ?? 'n' } : command === 'changed' ? fields : {};
      return [{ command, eventTime: at, fields: named, lost }];
    });
  });

type Texts = Record<FieldName, string>;

/** The vendor's fields at a time; `null` if the channel does not exist. */
function truthAt(happened: readonly Event[], time: number): Texts | null {
  return happened
    .filter(({ eventTime }) => eventTime <= time)
    .reduce<Texts | null>((before, { command, fields }) => {
      if (command === 'destroyed') return null;
      const empty = { name: '', avatarUrl: '', introduction: '', organization: '' };
      return { ...(command === 'created' ? empty : before!), ...fields } as Texts;
    }, null);
}

const after = (known: ChannelState, read: Read, at: number): ChannelState => {
  const { event, state } = judge(known, read, at);
  return event ? join(known, stateOf(event)) : state;
};

/** Input in any order: webhooks, and readings at any time from a server that lags by up to ten seconds. */
type Arrival = { event: Event } | { sentAt: number; lag: number };
const arrivals = events.chain(happened => {
  const heard = happened.filter(({ lost }) => !lost).map((event): Arrival => ({ event }));
  const last = happened.at(-1)?.eventTime ?? 1_000_000;
  const readings = fc.array(
    fc.record({ sentAt: fc.integer({ min: 999_000, max: last + 20_000 }), lag: fc.integer({ min: 0, max: lagMs }) }),
    {
      maxLength: 8,
    },
  );
  return readings
    .chain(read => fc.shuffledSubarray([...heard, ...heard, ...read], { minLength: 0, maxLength: 2 * heard.length + read.length }))
    .map(arrived => ({ happened, last, arrived }));
});

function run(
  happened: readonly Event[],
  arrived: readonly Arrival[],
  each: (before: ChannelState, arrival: Arrival, after: ChannelState) => void = () => {},
) {
  return arrived.reduce<ChannelState>((known, arrival) => {
    const next =
      'event' in arrival
        ? join(known, stateOf(arrival.event))
        : after(known, truthAt(happened, arrival.sentAt - arrival.lag), arrival.sentAt - lagMs);
    each(known, arrival, next);
    return next;
  }, emptyState);
}

test('whatever came in whatever order, one reading after all that ends in the truth', () => {
  fc.assert(
    fc.property(arrivals, ({ happened, last, arrived }) => {
      const known = run(happened, arrived);
      const at = Math.max(last, ...arrived.map(one => ('event' in one ? 0 : one.sentAt))) + lagMs + 1;
      const truth = truthAt(happened, at);
      const end = after(known, truth, at);
      expect(existsIn(end) === true).toBe(truth !== null);
      expect(profileOf(end)).toEqual(truth ?? unknownProfile);
      expect(judge(known, truth, at).hiddenBy).toBeNull();
    }),
    { numRuns: 2000 },
  );
});

test('a reading undoes nothing that is newer, and what it hides is told', () => {
  fc.assert(
    fc.property(arrivals, ({ happened, arrived }) => {
      run(happened, arrived, (before, arrival, now) => {
        if ('event' in arrival) return;
        const at = arrival.sentAt - lagMs;
        const read = truthAt(happened, arrival.sentAt - arrival.lag);
        const newer = fieldNames.filter(field => (before.fields[field]?.at ?? 0) > at);
        expect(newer.map(field => now.fields[field])).toEqual(newer.map(field => before.fields[field]));
        const isNewer = Math.max(before.aliveAt ?? 0, before.destroyedAt ?? 0) > at;
        expect(existsIn(now)).toBe(isNewer ? existsIn(before) : read !== null || (existsIn(before) === null ? null : false));
        const hidden = fieldNames.filter(field => read && now.fields[field]!.value !== read[field]);
        expect((judge(before, read, at).hiddenBy ?? 0) >= (hidden.length > 0 ? at : 0)).toBe(true);
      });
    }),
    { numRuns: 2000 },
  );
});

test('the same reading again records nothing, and moves nothing', () => {
  fc.assert(
    fc.property(arrivals, fc.integer({ min: 990_000, max: 1_100_000 }), ({ happened, arrived }, at) => {
      const read = truthAt(happened, at + lagMs);
      const once = after(run(happened, arrived), read, at);
      expect(judge(once, read, at).event).toBeNull();
      expect(after(once, read, at)).toEqual(once);
    }),
    { numRuns: 1000 },
  );
});

const created = stateOf({ command: 'created', eventTime: 100, fields: { name: 'n' } });

test('a completion names what is news, not the name that is newer and the same', () => {
  const { event, hiddenBy } = judge(created, { name: 'n', introduction: 'i', organization: '' }, 90);
  expect(event).toEqual({ command: 'changed', eventTime: 90, fields: { introduction: 'i', organization: '' } });
  expect(hiddenBy).toBeNull();
});

test('what differs from something newer is left alone, and to be read again', () => {
  expect(judge(created, { name: 'other' }, 90)).toMatchObject({ event: null, hiddenBy: 100 });
  expect(judge(created, { name: 'other', introduction: 'i' }, 90)).toMatchObject({
    event: { fields: { name: 'other', introduction: 'i' } },
    hiddenBy: 100,
  });
  // At equal times the greater text wins; if the reading loses, a later one decides.
  expect(judge(created, { name: 'm' }, 100)).toMatchObject({ event: null, hiddenBy: 100 });
  expect(judge(created, { name: 'o' }, 100)).toMatchObject({ event: { fields: { name: 'o' } }, hiddenBy: null });
  expect(judge(created, null, 90)).toMatchObject({ event: null, hiddenBy: 100 });
  expect(judge(created, null, 100)).toMatchObject({ event: { command: 'destroyed', eventTime: 100 }, hiddenBy: null });
});

test('where nothing differs the time of each equal field moves on, and that of the existence', () => {
  const { event, state } = judge(created, { name: 'n' }, 200);
  expect(event).toBeNull();
  expect(state).toEqual({ fields: { name: { value: 'n', at: 200 } }, aliveAt: 200, destroyedAt: null });
});

test('a channel never heard of is created by what exists, and not by what does not', () => {
  expect(judge(emptyState, { name: 'n' }, 5).event).toMatchObject({ command: 'created', fields: { name: 'n' } });
  expect(judge(emptyState, {}, 5).event).toMatchObject({ command: 'created', fields: {} });
  expect(judge(emptyState, null, 5)).toEqual({ event: null, state: emptyState, hiddenBy: null });
});

test('a channel known to be destroyed comes back by a reading as of later, also if only the existence differs', () => {
  const destroyed = stateOf({ command: 'destroyed', eventTime: 100, fields: {} });
  expect(judge(destroyed, {}, 101)).toMatchObject({ event: { command: 'changed', fields: {} }, hiddenBy: null });
  expect(judge(destroyed, { name: 'n' }, 100)).toMatchObject({ event: null, hiddenBy: 100 });
  expect(judge(destroyed, null, 200)).toEqual({ event: null, state: destroyed, hiddenBy: null });
});
