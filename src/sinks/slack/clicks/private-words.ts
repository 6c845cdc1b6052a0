import type { KnownBlock } from '@slack/types';
import { SinkError } from '../../errors.js';
import type { SinkContext } from '../../sink-type.js';
import { post, withinTime } from '../slack-http.js';
import type { SlackSettings } from '../slack.settings.js';

/** What somebody is told who clicked or typed something. */
export interface PrivateWords {
  text: string;
  blocks?: KnownBlock[];
}

/** As Slack takes it: unseen by others, and beside the message that was clicked. */
export function privately(words: PrivateWords): object {
  return { response_type: 'ephemeral', replace_original: false, ...words };
}

/** Whether a response_url may be called, so that no payload can send us elsewhere. `apiUrl` is another API root, of Slack's place in tests. */
export function isSlacks(responseUrl: string, apiUrl?: string): boolean {
  if (!URL.canParse(responseUrl)) return false;
  const { origin } = new URL(responseUrl);
  return origin === 'https://hooks.slack.com' || (apiUrl !== undefined && origin === new URL(apiUrl).origin);
}

/** Tells somebody, unseen by others. What Slack does not take is told to the log. */
export async function tellPrivately(
  responseUrl: string | null,
  words: PrivateWords,
  settings: Pick<SlackSettings, 'API_URL' | 'TIMEOUT_MS'>,
  { proxies, warn }: Pick<SinkContext, 'proxies' | 'warn'>,
  closing: AbortSignal,
): Promise<void> {
  if (responseUrl === null || !isSlacks(responseUrl, settings.API_URL)) return;
  const headers = { 'content-type': 'application/json' };
  try {
    const { status } = await withinTime(settings.TIMEOUT_MS, closing, signal =>
      post(responseUrl, JSON.stringify(privately(words)), headers, signal, proxies),
    );
    if (status >= 300) warn(`a private message to someone who clicked was not accepted by Slack, which answered ${status}`);
  } catch (error) {
    // Never the URL itself: whoever has it can write in the channel.
    if (error instanceof SinkError) warn(`a private message to someone who clicked could not be sent: ${error.message}`);
  }
}
