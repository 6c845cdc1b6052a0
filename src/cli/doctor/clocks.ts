import diagnostics from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { dateMs } from '../../outgoing/http.js';

/** Reads the `Date` header of all HTTP responses of this process from now on. @returns how many ms each host's clock is ahead of ours */
export function readDates(): Map<string, number> {
  const clocks = new Map<string, number>();
  const read = (host: unknown, date: unknown): void => {
    const ms = dateMs(date) - Date.now();
    if (typeof host === 'string' && !Number.isNaN(ms)) clocks.set(host, ms);
  };
  diagnostics.subscribe('http.client.response.finish', message => {
    const { request, response } = message as { request: ClientRequest; response: IncomingMessage };
    read(request.getHeader('host'), response.headers.date);
  });
  diagnostics.subscribe('undici:request:headers', message => {
    const { request, response } = message as { request: { origin: string }; response: { headers: Buffer[] } };
    const texts = response.headers.map(String);
    const index = texts.findIndex((text, at) => at % 2 === 0 && text.toLowerCase() === 'date');
    read(URL.parse(request.origin)?.host, index < 0 ? undefined : texts[index + 1]);
  });
  return clocks;
}
