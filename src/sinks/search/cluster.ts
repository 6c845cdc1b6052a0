import type { Agent, IncomingMessage } from 'node:http';
import { addAbortSignal } from 'node:stream';
import { throwIfProxyRefused } from '../../outgoing/agents.js';
import { parsed, readText } from '../../outgoing/http.js';

/** How to reach and enter a cluster. */
export interface Access {
  url: string;
  /** The value of the Authorization header. */
  authorization: string | null;
  ca: string | undefined;
  timeoutMs: number;
}

/** One call of the API; `json` or `lines` (newline-delimited JSON) is its body. */
export interface ClusterCall {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  path: string;
  query?: Record<string, string>;
  json?: object;
  lines?: string;
}

/** What the cluster said; `body` is `undefined` if it is not JSON, or too long. */
export interface ClusterAnswer {
  status: number;
  retryAfter: unknown;
  body: unknown;
}

/** The part of a client that we need, of OpenSearch's and of Elasticsearch's. */
export interface Cluster {
  request(call: ClusterCall, signal: AbortSignal): Promise<ClusterAnswer>;
  close(): void;
}

/** A bulk answer of 500 documents takes a fraction of this, and a page of documents is asked for anew, smaller. */
const answerLimit = 16 * 1024 * 1024;

/** What both clients are told: to try nothing again by themselves. */
export function clientOptions({ url, authorization, timeoutMs }: Access, agent: Agent) {
  const headers: Record<string, string> = authorization === null ? {} : { authorization };
  return { node: url, agent: () => agent, headers, maxRetries: 0, requestTimeout: timeoutMs };
}

/** A call as both clients take it. */
export function paramsOf({ method, path, query = {}, json, lines }: ClusterCall) {
  return { method, path, querystring: query, ...(json && { body: json }), ...(lines !== undefined && { bulkBody: lines }) };
}

/** Reads an answer to its end, which the signal can be. */
export async function answerOf(message: IncomingMessage, agent: Agent, signal: AbortSignal): Promise<ClusterAnswer> {
  const body = parsed(await readText(addAbortSignal(signal, message), answerLimit));
  const status = message.statusCode ?? 0;
  throwIfProxyRefused(status, agent);
  return { status, retryAfter: message.headers['retry-after'], body };
}
