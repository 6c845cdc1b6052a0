import { setTimeout as sleep } from 'node:timers/promises';
import { inTurns } from './isolation.ts';
import { type Bench, complain, drained } from './measures.ts';
import type { SlackCalls } from './sinks.ts';
import type { Service, Stage } from './stage.ts';

const calmChanges = 10;
const longestMs = 400_000;
const who = ['without Slack', 'with Slack'] as const;

/** What a Slack sink asks of Slack, and what the sinks beside it notice. */
export async function slack(bench: Bench): Promise<void> {
  const { stage, load, report, stores, quick } = bench;
  const changes = quick ? 2000 : 10_000;
  for (const store of stores) {
    report.progress(`slack: ${store}, a change every 2 s`);
    const without = await stage.startService(store);
    const service = await stage.startService(store, 'webhooks and slack');
    const calm = await callsDuring(stage, async () => {
      complain(report, await load.run({ port: service.port, connections: 1, rate: 0.5, seconds: calmChanges * 2 }), 'slack, calm');
      await drained(stage, service);
      await sleep(3000);
    });
    report.add('calls of Slack for a change of 3 sinks, at 0.5/s', store, taken(calm) / calmChanges, '', { atMost: 2 });

    for (const [name, one] of [
      [who[0], without],
      [who[1], service],
    ] as const) {
      report.progress(`slack: ${store}, ${changes} changes at once, ${name}`);
      const startedAt = performance.now();
      const calls = await callsDuring(stage, async () => {
        complain(report, await load.run({ port: one.port, connections: 256, count: changes }), `slack, ${store}, ${name}`);
        const told = await waitFor(one, 'crm');
        report.add(`${changes} changes at once: webhook sinks have all, ${name}`, store, (told - startedAt) / 1000, 's');
        if (one === service) report.add(`Slack has all`, store, ((await waitFor(one, 'team')) - startedAt) / 1000, 's');
      });
      report.raw.push({ part: 'slack', store, name, changes, calm, calls });
      if (one !== service) continue;
      report.add('its messages', store, calls.posts, '');
      report.add('its replies in threads', store, calls.replies, '');
      report.add('its edits', store, calls.edits, '');
      report.add('calls that Slack refused as too fast', store, calls.refused, '', { atMost: 0 });
    }

    // Meanwhile Slack falls behind further and further.
    const found = await inTurns(bench, 'slack', store, [
      [who[0], without, 0],
      [who[1], service, 0],
    ]);
    for (const [name, { p50, p99, ratio }] of found) {
      report.add(`webhook → webhook sinks at 50/s, ${name}, p50`, store, p50, 'ms');
      report.add(`webhook → webhook sinks at 50/s, ${name}, p99`, store, p99, 'ms');
      if (name === who[1]) report.add('that p99 beside without Slack', store, ratio, '×', { atMost: 1.2 });
    }
    for (const one of [without, service]) await one.stop();
  }
}

/** When nothing was pending any more at the sinks whose names begin so. */
async function waitFor(service: Service, sink: string): Promise<number> {
  for (const until = performance.now() + longestMs; performance.now() < until; await sleep(100)) {
    if ((await service.metric('pending', `sink="${sink}`)) === 0) return performance.now();
  }
  return Number.NaN;
}

async function callsDuring(stage: Stage, work: () => Promise<void>): Promise<SlackCalls> {
  const before = { ...(await stage.ask('count')).slackCalls };
  await work();
  const after = (await stage.ask('count')).slackCalls;
  return {
    posts: after.posts - before.posts,
    replies: after.replies - before.replies,
    edits: after.edits - before.edits,
    refused: after.refused - before.refused,
  };
}

function taken({ posts, replies, edits }: SlackCalls): number {
  return posts + replies + edits;
}
