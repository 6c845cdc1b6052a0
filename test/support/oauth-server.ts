import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A real authorization server, in a process of its own: it does not know the objects of a test's realm. */
export async function oauthServer(): Promise<{ tokenUrl: string; close(): Promise<void> }> {
  const script = 'node_modules/oauth2-mock-server/dist/oauth2-mock-server.mjs';
  const server = spawn(process.execPath, [script, '-a', '127.0.0.1', '-p', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(server, 'exit');
  const close = async (): Promise<void> => {
    server.kill();
    await exit;
  };
  for await (const line of createInterface(server.stdout)) {
    const port = /http:\/\/[^\s:]+:(\d+)/.exec(line)?.[1];
    if (port !== undefined) return { tokenUrl: `http://127.0.0.1:${port}/token`, close };
  }
  throw new Error('the authorization server did not start');
}
