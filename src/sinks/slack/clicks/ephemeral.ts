import type { KnownBlock } from '@slack/types';
import { SinkError } from '../../errors.js';
import type { SinkContext } from '../../sink-type.js';
import { post, withinTime } from '../slack-http.js';
import type { SlackSettings } from '../slack.settings.js';

/** A message for the user who clicked or typed something. */
export interface EphemeralMessage {
  text: string;
  blocks?: KnownBlock[];
}

/** In Slack's format: visible to that user only, without replacing the message that was clicked. */
export function ephemeral(words: EphemeralMessage): object {
  return { response_type: 'ephemeral', replace_original: false, ...words };
}

/** Whether a response_url belongs to Slack, so that no payload can send us elsewhere. `apiUrl`: another API root, from API_URL. */
export function isSlackUrl(responseUrl: string, apiUrl?: string): boolean {
  if (!URL.canParse(responseUrl)) return false;
  const { origin } = new URL(responseUrl);
  return origin === 'https://hooks.slack.com' || (apiUrl !== undefined && origin === new URL(apiUrl).origin);
}

/** Sends an ephemeral message; failures are only logged. */
export async function sendEphemeral(
  responseUrl: string | null,
  words: EphemeralMessage,
  settings: Pick<SlackSettings, 'API_URL' | 'TIMEOUT_MS'>,
  { proxies, warn }: Pick<SinkContext, 'proxies' | 'warn'>,
  closing: AbortSignal,
): Promise<void> {
  if (responseUrl === null || !isSlackUrl(responseUrl, settings.API_URL)) return;
  const headers = { 'content-type': 'application/json' };
  try {
    const { status } = await withinTime(settings.TIMEOUT_MS, closing, signal =>
      post(responseUrl, JSON.stringify(ephemeral(words)), headers, signal, proxies),
    );
    if (status >= 300) warn(`a private message to someone who clicked was not accepted by Slack, which answered ${status}`);
  } catch (error) {
    // Never log the URL: anyone who has it can post in the channel.
    if (error instanceof SinkError) warn(`a private message to someone who clicked could not be sent: ${error.message}`);
  }
}
