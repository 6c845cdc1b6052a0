// Loaded with --import into the built service: at each SIGUSR2 it collects its garbage and tells as a line of its log how much is left.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
process.on('SIGUSR2', () => {
  collect();
  const { heapUsed, external, rss } = process.memoryUsage();
  process.stdout.write(`${JSON.stringify({ level: 'info', msg: 'memory', heap: heapUsed + external, rss })}\n`);
});
