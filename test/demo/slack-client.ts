import { createHmac, randomUUID } from 'node:crypto';
import type { SlackWorkspace } from './slack.ts';

/** A button of a card, as the page has it. */
export interface Clicked {
  ts: string;
  action: string;
  value: string;
}

/** What Slack shows to who clicked, alone: a window, or a message. */
export type Shown = { view: { title: { text: string }; blocks: object[] } } | { said: string };

const user = 'U0DEMO';
const waitMs = 2500;

/**
 * What the Slack in your browser does beside showing messages: it reports clicks to the service, signed, and shows what only the one who clicked
 * sees. The emulator does neither, so the service reaches it through here.
 */
export class SlackClient {
  readonly #slack: SlackWorkspace;
  readonly #origin: string;
  /** Who waits for what the service shows after a click, by the click's trigger. */
  readonly #waiting = new Map<string, (shown: Shown) => void>();

  /** @param origin where this is reached from */
  constructor(slack: SlackWorkspace, origin: string) {
    this.#slack = slack;
    this.#origin = origin;
  }

  /** For SINK_…_API_URL. */
  get apiUrl(): string {
    return `${this.#origin}/slack/api/`;
  }

  /** @param serviceUrl the public port @returns what is shown to who clicked; `null` if nothing was within 2.5 s */
  async click(serviceUrl: string, { ts, action, value }: Clicked): Promise<Shown | null> {
    const trigger = randomUUID();
    const payload = {
      type: 'block_actions',
      user: { id: user },
      trigger_id: trigger,
      response_url: `${this.#origin}/slack/said/${trigger}`,
      message: { ts },
      actions: [{ action_id: action, value }],
    };
    const { promise, resolve } = Promise.withResolvers<Shown | null>();
    this.#waiting.set(trigger, resolve);
    const timer = setTimeout(() => resolve(null), waitMs);
    try {
      const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
      const time = String(Math.floor(Date.now() / 1000));
      const signature = createHmac('sha256', this.#slack.signingSecret).update(`v0:${time}:${body}`).digest('hex');
      const { status } = await fetch(`${serviceUrl}/slack/interactions`, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'x-slack-request-timestamp': time,
          'x-slack-signature': `v0=${signature}`,
        },
        body,
      });
      if (status !== 200) throw new Error(`a click was answered ${status}`);
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(trigger);
    }
  }

  /** A call of Slack's API by the service: windows are opened here, the emulator does all else. */
  async api(method: string, headers: Record<string, string>, body: string): Promise<{ status: number; body: string }> {
    if (method === 'views.open') {
      const form = new URLSearchParams(body);
      this.#waiting.get(form.get('trigger_id') ?? '')?.({
        view: JSON.parse(form.get('view') ?? '{}') as { title: { text: string }; blocks: object[] },
      });
      return { status: 200, body: '{"ok":true}' };
    }
    const answer = await fetch(`${this.#slack.url}/api/${method}`, { method: 'POST', headers, body, signal: AbortSignal.timeout(10_000) });
    return { status: answer.status, body: await answer.text() };
  }

  /** What the service says to one person after a click. */
  said(trigger: string, body: string): void {
    this.#waiting.get(trigger)?.({ said: (JSON.parse(body) as { text: string }).text });
  }
}
