import fc from 'fast-check';
import { apply } from './change.js';
import { type ChannelState, type VendorEvent, emptyState, existsIn, join, profileOf, stateOf } from './merge.js';
import { diff, fieldNames, unknownProfile } from './profile.js';

// Few times and few values, so that ties, repeats and races between a destruction and a value are frequent.
const text = fc.constantFrom('', 'a', 'b', '中', '\uffff', '😀');
const event: fc.Arbitrary<VendorEvent> = fc.record({
  command: fc.constantFrom('created', 'changed', 'destroyed'),
  eventTime: fc.integer({ min: 1, max: 5 }),
  fields: fc.record({ name: text, avatarUrl: text, introduction: text, organization: text }, { requiredKeys: [] }),
});
const webhooks = fc.array(event, { minLength: 1, maxLength: 12 });
const codePoints = (value: string) => [...value].map(letter => letter.codePointAt(0)!.toString(16).padStart(6, '0')).join();
const fold = (list: VendorEvent[]): ChannelState => list.reduce((state, event) => apply(state, event).state, emptyState);

describe('the profile is a function of the set of webhooks', () => {
  test('any permutation and any repetition ends in the same state', () => {
    fc.assert(
      fc.property(
        webhooks.chain(list => fc.tuple(fc.constant(list), fc.shuffledSubarray([...list, ...list], { minLength: list.length * 2 }))),
        ([list, shuffled]) => expect(fold(shuffled)).toEqual(fold(list)),
      ),
      { numRuns: 2000 },
    );
  });

  test('any split into groups that are joined afterwards ends in the same state', () => {
    fc.assert(
      fc.property(webhooks, fc.integer({ min: 0, max: 12 }), (list, at) => {
        expect(join(fold(list.slice(0, at)), fold(list.slice(at)))).toEqual(fold(list));
      }),
      { numRuns: 2000 },
    );
  });

  test('the join is commutative, associative and idempotent', () => {
    fc.assert(
      fc.property(webhooks, webhooks, webhooks, (x, y, z) => {
        const [a, b, c] = [fold(x), fold(y), fold(z)];
        expect(join(a, b)).toEqual(join(b, a));
        expect(join(join(a, b), c)).toEqual(join(a, join(b, c)));
        expect(join(a, a)).toEqual(a);
      }),
    );
  });

  test('it equals the plain reading of the contract: newest time, destruction first, then the greater text', () => {
    fc.assert(
      fc.property(webhooks, list => {
        const profile = profileOf(fold(list));
        for (const field of fieldNames) {
          const claims: { at: number; value: string | null }[] = [];
          for (const { command, eventTime, fields } of list) {
            if (command === 'destroyed') claims.push({ at: eventTime, value: null });
            else if (fields[field] !== undefined) claims.push({ at: eventTime, value: fields[field] });
          }
          const newest = claims.filter(({ at }) => at === Math.max(...claims.map(one => one.at))).map(({ value }) => value);
          const expected = newest.includes(null)
            ? null
            : newest.reduce((best, one) => (codePoints(one!) > codePoints(best!) ? one : best), newest[0] ?? null);
          expect(profile[field]).toBe(expected);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('revisions', () => {
  test('changes chain: each starts where the one before ended, and the last is the profile', () => {
    fc.assert(
      fc.property(webhooks, list => {
        let state = emptyState;
        let profile = unknownProfile;
        for (const one of list) {
          const effect = apply(state, one);
          expect(effect.changes).toEqual(diff(profile, effect.profile));
          expect(effect.altered).toBe(effect.changes.length > 0 || existsIn(state) !== existsIn(effect.state));
          ({ state, profile } = effect);
        }
      }),
    );
  });

  test('a change that alters nothing has the type of its command', () => {
    const state = fold([{ command: 'created', eventTime: 5, fields: { name: 'x' } }]);
    const late = apply(state, { command: 'changed', eventTime: 4, fields: { name: 'y' } });
    expect(late).toMatchObject({ altered: false, type: 'channel.profile.updated', stale: ['name'], tie: false, changes: [] });
  });

  test.each([
    ['unknown, created', [], { command: 'created', eventTime: 1, fields: {} }, 'channel.created'],
    ['unknown, changed', [], { command: 'changed', eventTime: 1, fields: { name: 'x' } }, 'channel.profile.updated'],
    ['unknown, destroyed', [], { command: 'destroyed', eventTime: 1, fields: {} }, 'channel.destroyed'],
    [
      'destroyed, changed',
      [{ command: 'destroyed', eventTime: 1, fields: {} }],
      { command: 'changed', eventTime: 2, fields: {} },
      'channel.created',
    ],
    [
      'existing, destroyed',
      [{ command: 'created', eventTime: 1, fields: {} }],
      { command: 'destroyed', eventTime: 1, fields: {} },
      'channel.destroyed',
    ],
    [
      'existing since, destroyed late: only older values go',
      [
        { command: 'changed', eventTime: 1, fields: { name: 'x' } },
        { command: 'changed', eventTime: 3, fields: { introduction: 'y' } },
      ],
      { command: 'destroyed', eventTime: 2, fields: {} },
      'channel.profile.updated',
    ],
  ] as [string, VendorEvent[], VendorEvent, string][])('%s', (_, before, one, type) => {
    expect(apply(fold(before), one)).toMatchObject({ altered: true, type });
  });

  test('a destroyed webhook names no field: what it tells of the profile is neither kept nor stale', () => {
    const state = fold([{ command: 'changed', eventTime: 5, fields: { name: 'x' } }]);
    for (const eventTime of [4, 5, 6]) {
      const effect = apply(state, { command: 'destroyed', eventTime, fields: { name: 'z', organization: 'z' } });
      expect(effect).toMatchObject({ named: [], stale: [], tie: false, profile: { ...unknownProfile, name: eventTime < 5 ? 'x' : null } });
    }
  });

  test('equal times: the greater text wins, the later to arrive is the tie, the loser is stale', () => {
    const first = stateOf({ command: 'changed', eventTime: 7, fields: { name: 'b' } });
    expect(apply(first, { command: 'changed', eventTime: 7, fields: { name: 'a' } })).toMatchObject({
      tie: true,
      stale: ['name'],
      altered: false,
    });
    expect(apply(first, { command: 'changed', eventTime: 7, fields: { name: 'c' } })).toMatchObject({
      tie: true,
      stale: [],
      altered: true,
    });
    // U+FFFF is a smaller code point than 😀, though a greater UTF-16 unit.
    const high = stateOf({ command: 'changed', eventTime: 7, fields: { name: '\uffff' } });
    expect(apply(high, { command: 'changed', eventTime: 7, fields: { name: '😀' } })).toMatchObject({ tie: true, altered: true });
  });
});
