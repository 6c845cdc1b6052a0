import type { Agent } from 'node:http';
import { agentFor } from '../../outgoing/agents.js';
import { parseJson } from '../../outgoing/http.js';
import { type Answer, exchange } from '../../outgoing/send.js';
import type { SinkContext } from '../sink-type.js';
import type { SearchSettings } from './search.settings.js';

/** An API call; the body is `json` or `lines` (newline-delimited JSON). */
export interface Call {
  method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  query?: Record<string, string>;
  json?: object;
  lines?: string;
}

/** The engine's response; `json` is its parsed body, `undefined` if that is not JSON or too long. */
export interface ApiAnswer extends Answer {
  json: unknown;
}

/** Far above a bulk response for 500 documents; a page of documents that exceeds it is requested again with a smaller size. */
const maxAnswerBytes = 16 * 1024 * 1024;

/** Calls the REST API of a search engine over persistent connections. */
export class RestClient {
  private readonly agent: Agent;
  private readonly root: string;
  private readonly headers: Record<string, string>;

  constructor(
    { URL: text, CA: ca, TIMEOUT_MS: tunnelTimeoutMs }: SearchSettings,
    authorization: string | null,
    readonly context: SinkContext,
  ) {
    const url = new URL(text);
    // The credentials are sent in the header instead.
    url.username = url.password = '';
    this.root = url.href.replace(/\/+$/, '');
    this.agent = agentFor(this.root, context.proxies, { keepAlive: true, ca, tunnelTimeoutMs });
    this.headers = { accept: 'application/json', ...(authorization !== null && { authorization }) };
  }

  async call({ method, path, query, json, lines }: Call, signal: AbortSignal): Promise<ApiAnswer> {
    const url = `${this.root}${path}${query ? `?${new URLSearchParams(query).toString()}` : ''}`;
    const body = lines ?? (json && JSON.stringify(json));
    const type = lines === undefined ? 'application/json' : 'application/x-ndjson';
    const headers = body === undefined ? this.headers : { ...this.headers, 'content-type': type };
    const answer = await exchange({ method, url, headers, body, agent: this.agent, signal }, maxAnswerBytes);
    return { ...answer, json: parseJson(answer.body) };
  }

  close(): void {
    this.agent.destroy();
  }
}
