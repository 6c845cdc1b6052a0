import type { Agent } from 'node:http';
import { agentFor } from '../../outgoing/agents.js';
import { parseJson } from '../../outgoing/http.js';
import { responseOf } from '../../outgoing/response.js';
import type { Proxies } from '../../outgoing/proxies.js';
import { exchange } from '../../outgoing/send.js';
import type { SinkContext } from '../sink-type.js';
import type { SearchSettings } from './search.settings.js';

/** One call of the API; `json` or `lines` (newline-delimited JSON) is its body. */
export interface Call {
  method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  query?: Record<string, string>;
  json?: object;
  lines?: string;
}

/** What the engine said; `body` is `undefined` if it is not JSON, or too long. */
export interface Answer {
  status: number;
  retryAfter: string | null;
  body: unknown;
  /** The same, as people see it. */
  response: string | null;
}

/** In bytes: many times a bulk answer of 500 documents; a page of documents that is longer is asked for again, smaller. */
const answerLimit = 16 * 1024 * 1024;

/** Calls the REST API of a search engine, on connections that it keeps. */
export class RestClient {
  private readonly agent: Agent;
  private readonly root: string;
  private readonly headers: Record<string, string>;

  /** @param authorization the value of the Authorization header */
  constructor(
    { URL: text, CA: ca, TIMEOUT_MS: tunnelTimeoutMs }: SearchSettings,
    authorization: string | null,
    proxies: Proxies,
    readonly clean: SinkContext['clean'],
  ) {
    const url = new URL(text);
    // Its credentials are in the header.
    url.username = url.password = '';
    this.root = url.href.replace(/\/+$/, '');
    this.agent = agentFor(this.root, proxies, { keepAlive: true, ca, tunnelTimeoutMs });
    this.headers = { accept: 'application/json', ...(authorization !== null && { authorization }) };
  }

  async call({ method, path, query, json, lines }: Call, signal: AbortSignal): Promise<Answer> {
    const url = `${this.root}${path}${query ? `?${new URLSearchParams(query).toString()}` : ''}`;
    const type = lines === undefined ? 'application/json' : 'application/x-ndjson';
    const sent = lines ?? (json && JSON.stringify(json));
    const headers = sent === undefined ? this.headers : { ...this.headers, 'content-type': type };
    const { status, retryAfter, body, contentType } = await exchange(
      { method, url, headers, body: sent, agent: this.agent, signal },
      answerLimit,
    );
    const response = status < 300 ? null : responseOf(body, contentType, this.clean);
    return { status, retryAfter, body: parseJson(body), response };
  }

  close(): void {
    this.agent.destroy();
  }
}
