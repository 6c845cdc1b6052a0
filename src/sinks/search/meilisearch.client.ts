import type { Agent } from 'node:http';
import axios, { type AxiosRequestConfig } from 'axios';
import type { Meilisearch } from 'meilisearch';
import { throwIfProxyRefused } from '../../outgoing/agents.js';
import { classifyStatus, parsed, userAgent } from '../../outgoing/http.js';
import { Misconfigured, Refused, SinkError, TryAgain } from '../errors.js';
import { member } from './document.js';
import { Gone, unknownAnswer, wrongEngine } from './engine.js';

/** A page of documents that is longer is asked for anew, smaller. */
const answerLimit = 16 * 1024 * 1024;

/** The answer was longer than we read. */
export class TooLong extends TryAgain {}

/** How to reach Meilisearch, and what to call it with. */
export interface Access {
  url: string;
  key: string | undefined;
  agent: Agent;
  now: () => number;
}

/** Does something with the client, whose requests all end with the signal, and throw a `SinkError` for what is no success. */
export type Call = <T>(signal: AbortSignal, work: (client: Meilisearch) => Promise<T>) => Promise<T>;

/** The official client, on connections that trust a CA, follow no redirect, and tell their errors by codes. */
export async function meilisearchClient({ url, key, agent, now }: Access): Promise<{ call: Call; close: () => void }> {
  const { Meilisearch } = await import('meilisearch');

  async function send(target: URL, { method, headers, body }: RequestInit, signal: AbortSignal): Promise<object> {
    const request: AxiosRequestConfig = {
      url: target.href,
      method: method ?? 'GET',
      headers: { ...Object.fromEntries(new Headers(headers)), 'user-agent': userAgent },
      data: body,
      httpAgent: agent,
      httpsAgent: agent,
      proxy: false,
      signal,
      maxRedirects: 0,
      maxContentLength: answerLimit,
      responseType: 'text',
      transformRequest: data => data as unknown,
      transformResponse: text => parsed(String(text)),
      validateStatus: () => true,
    };
    const { status, headers: answered, data } = await axios.request<unknown>(request).catch(tooLong);
    throwIfProxyRefused(status, agent);
    const error = classifyStatus(status, answered['retry-after'], now());
    if (error && typeof member(member(data, 'error'), 'type') === 'string') throw wrongEngine('OpenSearch or Elasticsearch', 'Meilisearch');
    if (error) throw failureOf(data, error);
    if (typeof data !== 'object' || data === null) throw unknownAnswer('Meilisearch', status);
    return data;
  }

  async function call<T>(signal: AbortSignal, work: (client: Meilisearch) => Promise<T>): Promise<T> {
    const host = url.endsWith('/') ? url : `${url}/`;
    const client = new Meilisearch({
      host,
      ...(key !== undefined && { apiKey: key }),
      httpClient: (target, init = {}) => send(target as URL, init, signal),
    });
    try {
      return await work(client);
    } catch (error) {
      // The client wraps what its connection threw.
      throw error instanceof Error && error.cause instanceof SinkError ? error.cause : error;
    }
  }

  return { call, close: () => agent.destroy() };
}

const disk = 'Free disk space where Meilisearch keeps its data; it is tried again by itself.';
const key = 'Check API_KEY: see its description for the actions and indexes that it needs.';

/** Errors of Meilisearch whose status and type say too little, by code. */
const meanings: Record<string, [kind: new (message: string, advice: string, status: number | null) => SinkError, advice: string]> = {
  index_not_found: [Gone, 'The index went away: the next try makes it anew. Rebuild it then.'],
  invalid_api_key: [Misconfigured, key],
  missing_authorization_header: [Misconfigured, key],
  no_space_left_on_device: [TryAgain, disk],
  database_size_limit_reached: [TryAgain, disk],
  too_many_open_files: [TryAgain, 'Let Meilisearch have more open files (ulimit -n); it is tried again by itself.'],
};

/** What an error of Meilisearch's own says, told by its code; never its message, which may quote the document. */
export function failureOf(told: unknown, error: SinkError): SinkError {
  const [code, type] = [member(told, 'code'), member(told, 'type')];
  if (typeof code !== 'string' || !/^[a-z_]{1,100}$/.test(code)) return error;
  const { advice, status } = error;
  if (Object.hasOwn(meanings, code)) return new meanings[code]![0](code, meanings[code]![1], status);
  if (type === 'system') return new TryAgain(code, 'Check the disk of Meilisearch, and its log; it is tried again by itself.', status);
  if (error instanceof TryAgain) return new TryAgain(code, advice, status, error.retryAfterMs);
  if (error instanceof Misconfigured) return new Misconfigured(code, advice, status);
  return new Refused(code, 'The index does not take this document: see the tasks of Meilisearch for why, mend that, then replay.', status);
}

function tooLong(error: unknown): never {
  if (axios.isAxiosError(error) && error.code === 'ERR_BAD_RESPONSE') {
    throw new TooLong('the answer is too long', 'Check what the URL of this sink leads to, if it lasts.');
  }
  throw error;
}
