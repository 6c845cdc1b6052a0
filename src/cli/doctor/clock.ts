import diagnostics from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { type Finding, failure, ok, warning } from './finding.js';

/** Smaller differences are not reported: `Date` has whole seconds, and responses take time. */
const warningMs = 5000;

/** How far other clocks are ahead of ours, in milliseconds, by host name. */
export type Clocks = Map<string, number>;

/** Reads the `Date` header of all HTTP responses of this process. @returns a function that stops reading */
export function readDates(clocks: Clocks, now: () => number): () => void {
  const read = (host: unknown, date: unknown): void => {
    const ms = typeof date === 'string' ? Date.parse(date) - now() : Number.NaN;
    if (typeof host === 'string' && !Number.isNaN(ms)) clocks.set(host, ms);
  };
  const byNode = (message: unknown): void => {
    const { request, response } = message as { request: ClientRequest; response: IncomingMessage };
    read(request.getHeader('host'), response.headers.date);
  };
  const byUndici = (message: unknown): void => {
    const { request, response } = message as { request: { origin: string }; response: { headers: Buffer[] } };
    const texts = response.headers.map(String);
    const index = texts.findIndex((text, at) => at % 2 === 0 && text.toLowerCase() === 'date');
    read(URL.parse(request.origin)?.host, index < 0 ? undefined : texts[index + 1]);
  };
  diagnostics.subscribe('http.client.response.finish', byNode);
  diagnostics.subscribe('undici:request:headers', byUndici);
  return () => {
    diagnostics.unsubscribe('http.client.response.finish', byNode);
    diagnostics.unsubscribe('undici:request:headers', byUndici);
  };
}

/** @param windowSeconds the allowed difference between the vendor's clock and ours */
export function judge(clocks: Clocks, windowSeconds: number): Finding {
  if (clocks.size === 0) return ok('clock', 'not compared: no target reported its time');
  const differences = [...clocks].map(([name, ms]) => {
    const seconds = Math.round(Math.abs(ms) / 1000);
    return seconds <= 1 ? `${name} agrees` : `${name} is ${seconds} s ${ms > 0 ? 'ahead of' : 'behind'} ours`;
  });
  const worst = Math.max(...[...clocks.values()].map(Math.abs));
  const advice = 'Set the clock of this machine by NTP; if only one of several differs, that one.';
  if (worst > windowSeconds * 1000)
    return failure('clock', differences.join(', '), `${advice} The vendor's webhooks are refused while ours is off.`);
  return worst > warningMs ? warning('clock', differences.join(', '), advice) : ok('clock', differences.join(', '));
}
