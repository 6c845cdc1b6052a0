import { randomInt } from 'node:crypto';
import type { Agent } from 'node:http';
import { agentFor } from '../../outgoing/agents.js';
import { dateMs, parseJson } from '../../outgoing/http.js';
import type { Proxies } from '../../outgoing/proxies.js';
import { exchange } from '../../outgoing/send.js';
import { within } from '../../outgoing/within.js';
import type { Clock } from '../../process/clock.js';
import type { EngineEvents } from '../../process/engine-events.js';
import type { Log } from '../../process/log.js';
import type { DeclaredApp } from '../../settings/declared-apps.js';
import { Misconfigured, SinkError, TryAgain } from '../../sinks/errors.js';
import { userSigOf, userSigSeconds } from './user-sig.js';
import { VendorError, type When, errorOf, outageError, variablesOf } from './error.js';

/** The vendor's own timeout is 3 s. */
const timeoutMs = 10_000;
const maxAnswerBytes = 8 * 1024 * 1024;
/** Below the keep-alive timeout of most servers. */
const idleConnectionMs = 4000;
/** Assumed maximum replication lag between the vendor's servers. */
export const lagMs = 10_000;
const maxClockDifferenceMs = 5000;

/** The vendor's REST API for one app (Tencent Cloud, product 1047, document 34620). */
export class VendorApi {
  private readonly agent: Agent;
  private userSig: { text: string; at: number } | null = null;
  private clocksDiffer = false;

  constructor(
    private readonly app: DeclaredApp,
    proxies: Proxies,
    private readonly clock: Clock,
    private readonly events: EngineEvents,
    private readonly log: Log,
    /** Awaited before each request; the returned function is called when the request has ended. */
    private readonly pace: (signal: AbortSignal) => Promise<() => void>,
  ) {
    const pool = { keepAlive: true, timeout: idleConnectionMs, tunnelTimeoutMs: timeoutMs };
    this.agent = agentFor(app.settings.REST_URL, proxies, pool);
  }

  close(): void {
    this.agent.destroy();
  }

  /** Calls a command; `again`: once more if the signature has expired (70001). @throws VendorError; the signal's reason if aborted */
  async call(command: string, body: object, signal: AbortSignal, again = true): Promise<{ body: Record<string, unknown>; when: When }> {
    const ended = await this.pace(signal);
    const sentAt = this.clock.now();
    const { status, headers, body: text } = await this.post(command, body, sentAt, signal).finally(ended);
    const answer = status === 200 ? parseJson(text) : undefined;
    const { ErrorCode: code, ActionStatus: done, RequestId: id } = isObject(answer) ? answer : {};
    if (!isObject(answer) || typeof code !== 'number' || !Number.isSafeInteger(code) || (code === 0 && done !== 'OK')) {
      this.count(`http_${status}`);
      throw outageError(status === 200 ? ['vendor_no_json'] : ['vendor_status', status], this.app.sdkAppId);
    }
    this.count(String(code));
    const requestId = typeof id === 'string' && /^[\w-]{1,100}$/.test(id) ? id : undefined;
    this.log.debug("Tencent's API answered", { app: this.app.sdkAppId, command, code, requestId });
    if (code === 70001 && again) {
      this.userSig = null;
      return this.call(command, body, signal, false);
    }
    const behindMs = Math.max(0, this.distanceOf(headers['date'], sentAt));
    const when = { at: sentAt - behindMs - lagMs, behindMs };
    if (code !== 0) throw Object.assign(errorOf(code, this.app.sdkAppId), { when });
    return { body: answer, when };
  }

  private async post(command: string, body: object, now: number, signal: AbortSignal) {
    const { sdkAppId, settings } = this.app;
    const query = new URLSearchParams({
      sdkappid: sdkAppId,
      identifier: settings.IDENTIFIER,
      usersig: this.sign(now),
      random: String(randomInt(2 ** 32)),
      contenttype: 'json',
    });
    const url = `${settings.REST_URL.replace(/\/+$/, '')}/v4/official_account_open_http_svc/${command}?${query.toString()}`;
    const headers = { 'content-type': 'application/json' };
    try {
      return await within(
        timeoutMs,
        signal,
        inTime => exchange({ method: 'POST', url, headers, body: JSON.stringify(body), agent: this.agent, signal: inTime }, maxAnswerBytes),
        () => new TryAgain(['timed_out_after', timeoutMs], ['vendor_wait']),
      );
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof SinkError)) throw error;
      this.count(error.why[0].startsWith('timed_out') ? 'timeout' : 'network');
      const why = ['vendor_unreachable', error.why] as const;
      if (!(error instanceof Misconfigured)) throw outageError(why, sdkAppId);
      // The advice about a proxy names the proxy's variable.
      const isProxy = error.why[0].startsWith('proxy');
      throw new VendorError('stop', why, isProxy ? error.advice : ['vendor_check_url', variablesOf(sdkAppId)]);
    }
  }

  /** How far the vendor's clock is behind ours, by the answer's `Date` in whole seconds. A difference is logged once until it is gone. */
  private distanceOf(date: unknown, sentAt: number): number {
    const theirs = dateMs(date);
    if (Number.isNaN(theirs)) return 0;
    // `Date` was set between sending and receiving, and is rounded down by up to a second.
    const [low, high] = [sentAt - theirs - 1000, this.clock.now() - theirs];
    const differ = low > maxClockDifferenceMs || high < -maxClockDifferenceMs;
    if (differ && !this.clocksDiffer)
      this.log.warn("our clock and Tencent's differ", { app: this.app.sdkAppId, aheadMs: Math.round((low + high) / 2) });
    this.clocksDiffer = differ;
    return sentAt - theirs;
  }

  private sign(now: number): string {
    const age = now - (this.userSig?.at ?? 0);
    // Renewed well before it expires, and also after our clock was set back.
    if (!this.userSig || age < 0 || age > (userSigSeconds * 1000) / 2) {
      const { sdkAppId, settings } = this.app;
      this.userSig = { text: userSigOf(sdkAppId, settings.IDENTIFIER, settings.SECRET_KEY, now), at: now };
    }
    return this.userSig.text;
  }

  private count(code: string): void {
    this.events.emit('vendor request', this.app.sdkAppId, code);
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
