import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const main = join(import.meta.dirname, 'simulation/main.ts');
const folder = mkdtempSync(join(tmpdir(), 'channel-sync-simulation-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** In a process of its own: there, time is replaced before anything else is loaded. @returns what it prints, and the journal of its last hour */
async function simulate(seeds: number, from: number): Promise<{ printed: string; journal: string }> {
  const file = join(folder, `${from}`);
  const options = ['--seeds', String(seeds), '--from', String(from), '--journal', file];
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...options]);
  return { printed: stdout, journal: readFileSync(file, 'utf8') };
}

// Many more have a command of their own: npm run simulate -- --help
test('twenty hours of several replicas, each out of one seed, keep every promise; the same seed gives the same journal, byte for byte', async () => {
  const halves = await Promise.all([simulate(10, 1), simulate(10, 11)]);
  for (const { printed } of halves) expect(printed).toMatch(/^10 hours from seed \d+ in [\d.]+ s, 0 broken/);
  const again = await simulate(1, 10);
  expect(halves.map(({ journal }) => journal === again.journal)).toEqual([true, false]);
}, 300_000);

test.each([
  [11440, 'a replica starts a second after the shared clock was set'],
  [60621, 'a replica starts between a jump of the shared clock and the moment that another one notices it'],
  [50219, 'a machine is suspended with work at hand, which another replica does meanwhile'],
  [101351, 'a machine wakes up just before its leases end'],
  [70288, 'a card that was under way in a suspended machine arrives after a newer one'],
])(
  'an hour that broke a promise before, seed %i: %s',
  async seed => {
    expect((await simulate(1, seed)).printed).toMatch(/, 0 broken,/);
  },
  60_000,
);
