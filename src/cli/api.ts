import { env } from 'node:process';
import { parse } from 'dotenv';
import { classifyNetworkError, parseJson, userAgent } from '../outgoing/http.js';
import { noSuchCall } from '../management/api/problem.dto.js';
import { SettingsError, envFile, textsOf, tokenRules } from '../settings/environment.js';
import { CliError } from './terminal.js';

const maxPageItems = 500;
/** Response timeouts in milliseconds: an attempt at a sink may take five minutes, and so may a large replay. */
const defaultTimeouts = { GET: 60_000, POST: 330_000 };
type Method = keyof typeof defaultTimeouts;

/** Encodes a name or id as a path segment. @throws CliError if it is empty, because the path would be that of the list */
export function segment(text: string): string {
  if (text === '') throw new CliError('a name or an id must not be empty', 2);
  return encodeURIComponent(text);
}

/** Where a service on this machine listens that has these settings. */
export function originHere(host: string, port: number): string {
  const here = /^(0\.0\.0\.0|::|\[::\])$/.test(host) ? '127.0.0.1' : host;
  return `http://${here.includes(':') ? `[${here}]` : here}:${port}`;
}

/** A client of the management API of a running service. */
export class Api {
  private readonly base: URL;
  private readonly token: string;

  /** @throws CliError if the URL is invalid, SettingsError if there is no token */
  constructor(
    url: string,
    private readonly timeouts = defaultTimeouts,
  ) {
    const base = URL.parse(url);
    // The message does not repeat the URL, which may contain a password.
    if (!base || !/^https?:$/.test(base.protocol) || base.username || base.password || base.search || base.hash)
      throw new CliError('--url must be the address of the management port, such as http://127.0.0.1:3001', 2);
    this.base = base;
    this.token = managementToken();
  }

  get<T = object>(path: string, query: Readonly<Record<string, string | undefined>> = {}): Promise<T> {
    const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return this.call('GET', given.length === 0 ? path : `${path}?${new URLSearchParams(given).toString()}`);
  }

  post<T = object>(path: string, body: object = {}): Promise<T> {
    return this.call('POST', path, body);
  }

  /** The first `max` items of a list. @throws CliError */
  async list<T extends object>(path: string, query: Readonly<Record<string, string | undefined>>, max: number): Promise<T[]> {
    const items: object[] = [];
    for (let cursor: string | undefined; ;) {
      const limit = String(Math.min(max - items.length, maxPageItems));
      const page = await this.get<{ items: object[]; nextCursor?: string | null }>(path, { ...query, limit, cursor });
      if (!Array.isArray(page.items)) throw new CliError(`${this.url} is not the management port of channel-sync: check --url`);
      items.push(...page.items);
      cursor = page.nextCursor ?? undefined;
      if (cursor === undefined || page.items.length === 0 || items.length >= max) return items as T[];
    }
  }

  /** Whether the service can record webhooks, and if not why. @throws CliError */
  async ready(): Promise<{ status: string; reason: string | null }> {
    const { body } = await this.send('GET', '/readyz');
    if (body && 'status' in body && 'reason' in body) return body as { status: string; reason: string | null };
    throw new CliError(`${this.url} is not the management port of channel-sync`);
  }

  private async call<T>(method: Method, path: string, payload?: object): Promise<T> {
    const { status, body } = await this.send(method, `/api/v1/${path}`, payload);
    if (status >= 200 && status < 300 && body) return body as T;
    const detail = body && 'detail' in body ? String(body.detail) : null;
    if (status === 401) throw new CliError('MANAGEMENT_TOKEN is not the one that the service has', 78);
    if (status === 404 && detail === noSuchCall)
      throw new CliError(`${this.url} has no such call: the service has no MANAGEMENT_TOKEN, or is another release`);
    if (detail === null)
      throw new CliError(`${this.url} answered ${status}, and not as the management port of channel-sync does: check --url`);
    throw new CliError(detail, status === 400 ? 2 : 1);
  }

  private get url(): string {
    return this.base.href.replace(/\/$/, '');
  }

  private async send(method: Method, path: string, payload?: object): Promise<{ status: number; body: object | null }> {
    const headers = {
      // Node encodes headers as latin1.
      authorization: `Bearer ${Buffer.from(this.token).toString('latin1')}`,
      'user-agent': userAgent,
      ...(payload && { 'content-type': 'application/json' }),
    };
    // Loaded lazily, so that --help is fast.
    const { getGlobalDispatcher } = await import('undici');
    try {
      // Not a URL object, which would remove ids that consist of dots.
      const { statusCode, body } = await getGlobalDispatcher().request({
        origin: this.base.origin,
        path: this.base.pathname.replace(/\/$/, '') + path,
        method,
        headers,
        body: payload ? JSON.stringify(payload) : null,
        headersTimeout: 0,
        bodyTimeout: 0,
        signal: AbortSignal.timeout(this.timeouts[method]),
      });
      // Another server at this URL may repeat what it was sent.
      const answer = parseJson((await body.text()).replaceAll(JSON.stringify(this.token).slice(1, -1), '***'));
      return { status: statusCode, body: typeof answer === 'object' ? answer : null };
    } catch (error) {
      const isLate = error instanceof DOMException;
      const why = isLate ? `nothing in ${this.timeouts[method] / 1000} s` : classifyNetworkError(error).message;
      throw new CliError(`${this.url} does not answer (${why}): check that the service runs, and that --url is its management port`);
    }
  }
}

/** MANAGEMENT_TOKEN, without the other settings, which would take longer to load. @throws SettingsError */
function managementToken(): string {
  const name = 'MANAGEMENT_TOKEN';
  const { texts, unreadable, mistakes } = textsOf({ ...parse(envFile() ?? ''), ...env }, variable => variable === name);
  if (unreadable.size + mistakes.length > 0) throw new SettingsError([...unreadable.values(), ...mistakes]);
  const token = texts.get(name);
  if (token === undefined) throw new SettingsError([`${name} is required: the one that the service has`]);
  const broken = tokenRules.find(([pattern]) => !pattern.test(token));
  if (broken) throw new SettingsError([broken[1].message.replace('$property', name)]);
  return token;
}
