import type { ChangeDetails, FailedChange, FoundChannel, Lookup, SinkOverview } from '../../src/sinks/lookup.js';
import { noLookup } from './no-actions.ts';
import { resultAt } from './slack-rendering.ts';

/** When all of it is looked up. */
export const now = Date.parse('2026-01-01T10:00:00Z');

export const sinkOf = (more: Partial<SinkOverview> = {}): SinkOverview => {
  const calm = { state: 'ok' as const, reason: null, advice: null, lagMs: 0, queued: 0, failed: 0 };
  return { sink: 'crm', ...calm, ...more };
};
export const changeOf = (text = 'Tea', more: Partial<FailedChange> = {}): FailedChange => ({
  event: {
    type: 'channel.profile.updated',
    timestamp: '2026-01-01T09:00:00.000Z',
    data: {
      changeId: '0193a5b2-7c1e-7d2f-9b3a-1c2d3e4f5a6b',
      sdkAppId: '1400000001',
      channelId: '@TOA#_tea',
      revision: 2,
      exists: true,
      operator: text,
      source: 'webhook',
      changes: [{ field: 'name', from: text, to: `${text} House` }],
      profile: { name: `${text} House`, avatarUrl: null, introduction: text, organization: '' },
    },
  },
  origin: { clientIp: '192.0.2.1', platform: 'RESTAPI', owner: 'leckie' },
  receivedAt: now,
  eventTimeEstimated: false,
  tie: false,
  stale: [],
  failures: [{ sink: 'crm', reason: text }],
  ...more,
});
export const channelOf = (text = 'Tea', more: Partial<FoundChannel> = {}): FoundChannel => {
  return { sdkAppId: '1400000001', channelId: '@TOA#_tea', name: text, exists: true, updatedAt: now, ...more };
};

export const attemptOf = (text: string | null = null, outcome = 'retry') => {
  return { at: now, durationMs: 42, outcome, status: text === null ? null : 502, error: text, response: text };
};
export const detailsOf = (text = 'Tea', count = 1, more: Partial<ChangeDetails> = {}): ChangeDetails => ({
  ...changeOf(text),
  origin: { clientIp: text, platform: text, owner: text },
  webhook: JSON.stringify({ Name: text }),
  deliveries: Array.from({ length: count }, (_, index) => ({
    ...resultAt(`crm_${index}`, 'retrying', { reason: text }),
    attempts: Array.from({ length: count }, () => attemptOf(text)),
  })),
  before: [changeOf(text)],
  after: [],
  ...more,
});

/** A service with so many of each. */
export function lookupOf(text: string, count: number): Lookup {
  const many = <T>(one: T): T[] => Array.from({ length: count }, () => one);
  const { data } = changeOf(text).event;
  return {
    ...noLookup,
    sinks: async () => many(sinkOf({ state: 'down', reason: text, advice: text, queued: 20_000, failed: 3, lagMs: 90_000 })),
    failedChanges: async most => many(changeOf(text)).slice(0, most),
    findChannels: async (_, most) => ({ channels: many(channelOf(text)).slice(0, most), more: count }),
    channel: async () =>
      many(0)
        .slice(0, 3)
        .map(() => ({
          ...channelOf(text),
          revision: 7,
          profile: data.profile,
          sinks: many({ sink: 'crm', state: 'retrying' as const, error: text }),
          latest: many(changeOf(text)).slice(0, 5),
        })),
  };
}
