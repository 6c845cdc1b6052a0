import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const main = join(import.meta.dirname, 'simulation/main.ts');

/** In a process of its own: there, time is replaced before anything else is loaded. */
const simulate = async (...options: string[]): Promise<string> => (await promisify(execFile)(process.execPath, [main, ...options])).stdout;

// Many more have a command of their own: npm run simulate -- --help
test('twenty hours of several replicas, each out of one seed, keep every promise', async () => {
  const halves = await Promise.all(['1', '11'].map(from => simulate('--seeds', '10', '--from', from)));
  for (const told of halves) expect(told).toMatch(/^10 hours from seed \d+ in [\d.]+ s, 0 broken/);
}, 300_000);

test('the same seed gives the same journal, byte for byte, and another one another', async () => {
  const journals = await Promise.all(['77', '77', '78'].map(seed => simulate('--seeds', '1', '--from', seed)));
  const [one, again, other] = journals.map(told => told.match(/journals (\w+)/)![1]);
  expect([one === again, one === other]).toEqual([true, false]);
}, 60_000);
