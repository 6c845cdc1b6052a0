import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../support/until.ts';

/** What the workspace and the service agree on. */
export const workspace = {
  botToken: 'xoxb-local',
  appToken: 'xapp-local',
  signingSecret: 'local-signing-secret',
  channel: 'C0CHANNELS',
  alice: 'U0ALICE',
  bob: 'U0BOB',
} as const;

/** How the workspace tells of clicks: to a URL, or down a connection. */
export type Mode = { mode: 'events'; requestUrl: string } | { mode: 'socket' };

/**
 * local-slack (github.com/parvalabs/local-slack): a Slack with a page in the browser, where buttons can be clicked. It checks no token, draws no
 * rich_text and listens on all interfaces, so that it is to be run where there is but loopback.
 */
export class LocalSlack {
  readonly url: string;
  private readonly child: ChildProcess;

  constructor(binary: string, folder: string, port: number, mode: Mode) {
    const { botToken, appToken, signingSecret, channel, alice, bob } = workspace;
    // JSON is YAML.
    const config = join(folder, 'workspace.yaml');
    const setup = {
      workspace: { name: 'Tea House', domain: 'tea-house', teamId: 'T0TEA' },
      apps: [{ appId: 'A0SYNC', botUserId: 'U0BOT', botName: 'channel-sync', botToken, appToken, signingSecret, ...mode }],
      users: [
        { id: alice, name: 'alice', real_name: 'Alice' },
        { id: bob, name: 'bob', real_name: 'Bob' },
      ],
      channels: [{ id: channel, name: 'official-channels', members: [alice, bob, 'U0BOT'] }],
    };
    writeFileSync(config, JSON.stringify(setup));
    this.url = `http://127.0.0.1:${port}`;
    // Private words go to a URL that it makes of its base host, and our rule compares that with API_URL.
    this.child = spawn(binary, ['--config', config, '--port', String(port), '--base-host', '127.0.0.1'], { stdio: 'ignore' });
  }

  async ready(): Promise<void> {
    const answers = () => fetch(this.url).then(Boolean, () => false);
    await until(answers, 'local-slack answers');
  }

  /** The channel's messages as JSON, the private ones too. */
  async messages(): Promise<string[]> {
    const response = await fetch(`${this.url}/_control/messages/${workspace.channel}`);
    return ((await response.json()) as { messages: object[] }).messages.map(message => JSON.stringify(message));
  }

  async stop(): Promise<void> {
    this.child.kill();
    if (this.child.exitCode === null) await once(this.child, 'exit');
  }
}
