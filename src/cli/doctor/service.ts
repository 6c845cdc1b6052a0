import { request } from 'undici';
import { parseJson, userAgent } from '../../outgoing/http.js';
import type { Settings } from '../../settings/settings.js';
import { originHere } from '../api.js';

const timeoutMs = 3000;

/** Asks the service that runs on this machine with these settings whether webhooks can be stored; `null` if none answers. */
export async function askService({ MANAGEMENT_HOST, HOST, MANAGEMENT_PORT }: Settings): Promise<{ reason: string | null } | null> {
  if (MANAGEMENT_PORT === 0) return null;
  try {
    const url = `${originHere(MANAGEMENT_HOST ?? HOST, MANAGEMENT_PORT)}/readyz`;
    const { body } = await request(url, { headers: { 'user-agent': userAgent }, signal: AbortSignal.timeout(timeoutMs) });
    const answer = parseJson(await body.text());
    if (typeof answer !== 'object' || answer === null || !('status' in answer && 'reason' in answer)) return null;
    return { reason: typeof answer.reason === 'string' ? answer.reason : null };
  } catch {
    return null;
  }
}
