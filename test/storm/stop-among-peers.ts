import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ServiceProcess } from '../support/process.ts';
import type { Dice } from './dice.ts';
import { webhookMessage } from './peers.ts';

const stopWithinMs = 25_000;
const moreEveryMs = 100;

/** SIGTERM among peers that hold on to whatever they can, to the last. Gives how long the service took, and what it broke. */
export async function stopAmongPeers(dice: Dice, folder: string): Promise<{ stoppedAfterMs: number; breaches: string[] }> {
  const service = new ServiceProcess({ DATABASE_URL: `sqlite:${join(folder, 'stop.db')}`, SINK_A_TYPE: 'log', SINK_A_CHANNELS: 'nothing' });
  const { url, managementUrl } = await service.listening();
  const timers: NodeJS.Timeout[] = [];
  const hold = (): void => {
    const { bytes } = webhookMessage(dice.below(20));
    const said = ['', bytes.subarray(0, dice.below(bytes.length)), bytes, 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n', 'G\0'];
    for (const text of said) {
      const port = Number(new URL(dice.chance(0.7) ? url : managementUrl).port);
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => undefined);
      socket.write(text);
      if (dice.chance(0.5)) socket.resume();
      if (dice.chance(0.3)) socket.end();
      else if (dice.chance(0.5)) timers.push(setInterval(() => socket.writable && socket.write('\r\n'), 500));
    }
  };
  hold();
  const startedAt = Date.now();
  timers.push(setInterval(hold, moreEveryMs));
  try {
    const code = await Promise.race([service.stop(), sleep(stopWithinMs, 'late' as const, { ref: false })]);
    const broken = code === 'late' ? 'it is still there after 25 s' : `exit ${code}: ${service.stderr}`;
    return { stoppedAfterMs: Date.now() - startedAt, breaches: code === 0 ? [] : [`SIGTERM among peers: ${broken}`] };
  } finally {
    for (const timer of timers) clearInterval(timer);
    await service.kill();
  }
}
