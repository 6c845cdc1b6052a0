import { createHmac, timingSafeEqual } from 'node:crypto';
import { parseJson } from '../../../outgoing/http.js';
import type { InteractionHandler, Headers } from '../../report-sink.js';
import type { SinkContext } from '../../sink-type.js';
import { fieldsOf } from './interaction.js';

const windowSeconds = 300;

/** Accepts HTTP requests signed with the app's signing secret. */
export function interactionHandlerOf(secret: string, { now, interaction }: Pick<SinkContext, 'now' | 'interaction'>): InteractionHandler {
  return {
    accepts: headers => stampOf(headers, now()) !== null,
    handle: (body, headers) => {
      if (!isSignedBySlack(body, headers, secret, now())) return null;
      const payload = payloadOf(body.toString());
      const answer = interaction(payload, secret, [String(headers['x-slack-signature']), ...idsOf(payload)]);
      // Slack verifies the request URL by a challenge.
      const { type, challenge } = fieldsOf(payload);
      return type === 'url_verification' && typeof challenge === 'string' ? Promise.resolve(challenge) : answer;
    },
  };
}

/**
 * Time and v0 signature from the headers; `null` if malformed or more than 5 minutes off. An older request may be a replay;
 * one from the future could be replayed for longer.
 * @param headers as Node has them: repeated ones are joined by a comma, which matches neither pattern
 */
function stampOf(headers: Headers, nowMs: number): { time: string; signature: string } | null {
  const time = headers['x-slack-request-timestamp'];
  const signature = headers['x-slack-signature'];
  if (typeof time !== 'string' || !/^\d{10}$/.test(time)) return null;
  if (typeof signature !== 'string' || !/^v0=[0-9a-f]{64}$/.test(signature)) return null;
  return Math.abs(Math.floor(nowMs / 1000) - Number(time)) > windowSeconds ? null : { time, signature };
}

/** Checks Slack's signature: the HMAC of `v0:<time>:<body>`, in constant time. */
export function isSignedBySlack(body: Buffer, headers: Headers, secret: string, nowMs: number): boolean {
  const stamp = stampOf(headers, nowMs);
  if (!stamp) return false;
  const expected = createHmac('sha256', secret).update(`v0:${stamp.time}:`).update(body).digest();
  return timingSafeEqual(expected, Buffer.from(stamp.signature.slice('v0='.length), 'hex'));
}

/** Parses a body: JSON (events), JSON in the form field `payload` (clicks), or a form (commands); `null` for anything else. */
export function payloadOf(body: string): unknown {
  if (body.startsWith('{')) return parseJson(body) ?? null;
  const form = new URLSearchParams(body);
  return form.has('command') ? Object.fromEntries(form) : (parseJson(form.get('payload') ?? '') ?? null);
}

/** Slack's ids of an interaction or event: the same for every delivery of it, over HTTP and Socket Mode. */
export function idsOf(payload: unknown): string[] {
  const { trigger_id: trigger, event_id: event } = fieldsOf(payload);
  return [trigger, event].filter(id => typeof id === 'string');
}
