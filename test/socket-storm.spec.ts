import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Dice } from './storm/dice.js';
import { SocketStorm } from './storm/socket-storm.js';
import { stopAmongPeers } from './storm/stop-among-peers.js';

const folder = mkdtempSync(join(tmpdir(), 'channel-sync-sockets-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// The large ones have a command of their own: npm run storm -- --sockets
test.concurrent(
  'peers that do anything with their sockets: it lives, frees every descriptor, grows no heap, and takes webhooks meanwhile',
  async () => {
    const { breaches, ...counts } = await new SocketStorm({ seed: 7, peers: 1000, folder }).run();
    expect(breaches).toEqual([]);
    // Where nothing was held or answered nothing was shown.
    expect(Math.min(counts.held, counts.answers, counts.webhooks)).toBeGreaterThan(100);
    expect(counts.heapGrowthKb).toBeLessThan(2048);
  },
  90_000,
);

test.concurrent(
  'SIGTERM ends it in 25 s with 0, whatever peers hold',
  async () => {
    expect((await stopAmongPeers(new Dice(7), folder)).breaches).toEqual([]);
  },
  60_000,
);
