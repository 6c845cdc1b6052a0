import { eachStore } from '../../test/support/stores.ts';
import { firstSeen } from './seen.js';

const now = Date.UTC(2026, 0, 1);

eachStore('what was seen', store => {
  test('is new once, by each of its keys, for ten minutes', async () => {
    const database = await store.open();
    const seen = (at: number, ...keys: string[]) => firstSeen(database, keys, now + at);
    expect(await seen(0, 'signature one', 'trigger')).toBe(true);
    expect(await seen(1, 'signature one', 'trigger')).toBe(false);
    expect(await seen(2, 'signature two', 'trigger')).toBe(false);
    expect(await seen(3, 'signature one')).toBe(false);
    expect(await seen(4, 'another', 'another')).toBe(true);
    expect(await seen(5)).toBe(true);
    expect(await seen(600_000, 'trigger')).toBe(false);
    expect(await seen(600_002, 'signature one')).toBe(true);
    // Stores only hashes, and only for ten minutes.
    const rows = await database.kysely.selectFrom('seen').selectAll().execute();
    expect(rows).toEqual(
      [2, 4, 600_002].flatMap(() => expect.objectContaining({ key: expect.stringMatching(/^[0-9a-f]{64}$/) as string })),
    );
  });

  test('is new to one process alone', async () => {
    const database = await store.open();
    const keys = ['b', 'a', 'c'];
    // On separate connections, with the keys in different orders.
    const results = Array.from({ length: 20 }, (_, index) =>
      firstSeen(database, [...keys.slice(index % 3), ...keys.slice(0, index % 3)], now),
    );
    expect((await Promise.all(results)).filter(Boolean)).toHaveLength(1);
  });
});
