import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A real authorization server, in a process of its own: it does not know the objects of a test's realm. */
export async function oauthServer(): Promise<{ tokenUrl: string; close(): Promise<void> }> {
  const server = spawn(process.execPath, [join(import.meta.dirname, 'oauth-server.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(server, 'exit');
  const close = async (): Promise<void> => {
    server.kill();
    await exit;
  };
  for await (const port of createInterface(server.stdout)) return { tokenUrl: `http://127.0.0.1:${port}/token`, close };
  throw new Error('the authorization server did not start');
}
