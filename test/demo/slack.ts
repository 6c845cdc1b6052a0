import { randomBytes } from 'node:crypto';
import { createEmulator } from 'emulate';

export interface SlackMessage {
  ts: string;
  text: string;
  blocks?: { type: string; [more: string]: unknown }[];
  edited?: unknown;
  metadata?: { event_payload: Record<string, string> };
}

/** A Slack workspace on loopback: a real API server with an inspector in the browser, a channel, and a bot that may post. */
export interface SlackWorkspace {
  url: string;
  /** A page that shows all that is in it. */
  inspectorUrl: string;
  botToken: string;
  /** What clicks are signed with. */
  signingSecret: string;
  channelId: string;
  /** The channel's messages, newest first. */
  messages: () => Promise<SlackMessage[]>;
  close(): Promise<void>;
}

export async function openSlack(port: number): Promise<SlackWorkspace> {
  const baseUrl = `http://127.0.0.1:${port}`;
  const botToken = 'xoxb-demo';
  const emulator = await createEmulator({
    service: 'slack',
    port,
    hostname: '127.0.0.1',
    baseUrl,
    seed: {
      slack: {
        team: { name: 'Tea House', domain: 'tea-house' },
        users: [{ name: 'channel-sync', real_name: 'channel-sync' }],
        tokens: [{ token: botToken, type: 'bot', user: 'channel-sync' }],
      },
    },
  });
  const call = async <T>(method: string, parameters: Record<string, string>): Promise<T> => {
    const response = await fetch(`${baseUrl}/api/${method}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${botToken}` },
      body: new URLSearchParams(parameters),
      signal: AbortSignal.timeout(10_000),
    });
    const answer = (await response.json()) as T & { ok: boolean; error?: string };
    if (!answer.ok) throw new Error(`Slack's ${method} answered ${answer.error}`);
    return answer;
  };
  const { channel } = await call<{ channel: { id: string } }>('conversations.create', { name: 'official-channels' });
  return {
    url: baseUrl,
    inspectorUrl: `${baseUrl}/?channel=${channel.id}`,
    botToken,
    signingSecret: randomBytes(16).toString('hex'),
    channelId: channel.id,
    messages: async () => {
      const which = { channel: channel.id, limit: '200', include_all_metadata: 'true' };
      return (await call<{ messages: SlackMessage[] }>('conversations.history', which)).messages;
    },
    close: () => emulator.close(),
  };
}

const signs: Record<string, string> = {
  x: '❌',
  warning: '⚠️',
  wastebasket: '🗑️',
  hourglass_flowing_sand: '⏳',
  fast_forward: '⏩',
  white_check_mark: '✅',
  repeat: '🔁',
};

/** The sign of an emoji; its name if we do not know it. */
export const signOf = (name: string) => signs[name] ?? `:${name}:`;

/** A time as it would be shown here. */
export const timeShown = (seconds: number) => new Date(seconds * 1000).toLocaleString('en-GB');

/** Slack's `<!date^…^…|what to show without>` likewise. */
export const datesShown = (text: string) =>
  text.replace(/<!date\^(\d+)\^[^|>]*\|[^>]*>/g, (_, seconds: string) => timeShown(Number(seconds)));

interface Part {
  type?: string;
  text?: string | Part;
  name?: string;
  timestamp?: number;
  elements?: Part[];
}

/** What a reader sees of a message, line by line: its blocks, or its text if it has none. */
export function linesOf(message: SlackMessage): string[] {
  if (!message.blocks?.length) return [message.text];
  return message.blocks
    .flatMap((block: Part) => [...words(block.text), ...(block.elements ?? []).map(line => words(line).join(''))])
    .filter(line => line !== '');
}

function words(part: string | Part | undefined): string[] {
  if (part === undefined) return [];
  if (typeof part === 'string') return [datesShown(part)];
  if (part.type === 'date') return [timeShown(part.timestamp ?? 0)];
  return part.type === 'emoji' ? [signOf(part.name ?? '')] : [...words(part.text), ...(part.elements ?? []).flatMap(words)];
}
