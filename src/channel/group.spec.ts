import { byWebhook } from '../../test/support/engine.js';
import type { InboundWebhook } from './inbound-webhook.js';
import { nextGroup } from './group.js';

const webhook = (channelId: string, bytes: number, name = ''): { webhook: InboundWebhook } => ({
  webhook: {
    id: channelId,
    sdkAppId: '1',
    channelId,
    command: 'changed',
    operator: null,
    eventTime: 1,
    eventTimeEstimated: false,
    ...byWebhook,
    receivedAt: 1,
    fields: { name },
    body: new Uint8Array(bytes),
  },
});

const take = (waiting: { webhook: InboundWebhook }[], sinks = 1): string[] =>
  nextGroup(waiting, sinks).group.map(({ webhook }) => webhook.channelId);

describe('the group of the next transaction', () => {
  test('has so many webhooks, and so many rows of what sinks are owed', () => {
    const waiting = Array.from({ length: 300 }, (_, index) => webhook(`channel ${index}`, 10));
    const sizes = [1, 15, 16, 100, 4000, 100_000].map(sinks => nextGroup(waiting, sinks));
    expect(sizes.map(({ group }) => group.length)).toEqual([256, 256, 250, 40, 1, 1]);
    for (const { group, rest } of sizes) expect([...group, ...rest]).toEqual(waiting);
  });

  test('has so many bytes, of bodies and of texts as often as they are kept; a single webhook may have any', () => {
    expect(take([webhook('a', 3e6), webhook('b', 3e6), webhook('c', 1e6)])).toEqual(['a', 'c']);
    expect(take([webhook('a', 10, 'x'.repeat(1.2e6)), webhook('b', 1e6)])).toEqual(['a']);
    expect(take([webhook('a', 5e7), webhook('b', 10)])).toEqual(['a']);
  });

  test('lets small webhooks go between large ones, but no channel out of its order', () => {
    const waiting = [webhook('a', 3e6), webhook('b', 3e6), webhook('c', 10), webhook('b', 10), webhook('a', 10)];
    const { group, rest } = nextGroup(waiting, 1);
    expect(group).toEqual([waiting[0], waiting[2], waiting[4]]);
    expect(rest).toEqual([waiting[1], waiting[3]]);
  });
});
