import { type Agent, type ClientRequest, type IncomingMessage, type RequestOptions, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import axios, { AxiosHeaders, type AxiosResponse } from 'axios';
import type { Clean } from '../settings/cleaner.js';
import { type SinkError, cut } from '../sinks/errors.js';
import { proxyRefusal } from './agents.js';
import { classifyNetworkError, userAgent } from './http.js';

export interface OutgoingRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: string | undefined;
  agent: Agent;
  signal: AbortSignal;
}

/**
 * Axios's HTTP adapter, called directly: `axios.request` merges its defaults for every request, which doubles the CPU cost
 * (0.25 ms instead of 0.13 ms), and its transformations could alter signed bytes.
 */
const viaHttp = axios.getAdapter('http');

/** As large as browsers allow; with Node's 16 kB, a target that sends more (cookies, policies) would never count as having answered. */
const maxHeaderSize = 256 * 1024;
const transport = {
  request(options: RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest {
    const request = (options.protocol === 'https:' ? httpsRequest : httpRequest)(Object.assign(options, { maxHeaderSize }), onResponse);
    // Without this, Node closes the connection of a 101 with Upgrade, and axios waits for an answer for ever.
    return request.once('upgrade', (response, socket) => {
      socket.destroy();
      response.push(null);
      onResponse(response);
    });
  },
};

/** Sends one request without retries or redirects; resolves for every status, before the body is read. */
async function send({ method, url, headers, body, agent, signal }: OutgoingRequest): Promise<AxiosResponse<Readable>> {
  signal.throwIfAborted();
  const response: AxiosResponse<Readable> = await viaHttp({
    method,
    url,
    headers: AxiosHeaders.from({ accept: '*/*', 'accept-encoding': 'identity', 'user-agent': userAgent, ...headers }),
    data: body === undefined ? undefined : Buffer.from(body),
    signal,
    httpAgent: agent,
    httpsAgent: agent,
    transport,
    // The agent handles proxies; otherwise axios would read the environment.
    proxy: false,
    maxRedirects: 0,
    responseType: 'stream',
    // Some targets compress although they were asked not to.
    decompress: true,
    validateStatus: () => true,
  });
  const refusal = proxyRefusal(response.status, agent);
  if (!refusal) return response;
  response.data.destroy();
  throw refusal;
}

/** A response, its body read as far as a limit allows. */
export interface Answer {
  status: number;
  headers: Readonly<Record<string, unknown>>;
  retryAfter: unknown;
  contentType: unknown;
  body: string;
}

function answerOf({ status, headers: fields, request }: AxiosResponse, chunks: readonly Buffer[], maxBytes: number): Answer {
  // Answered before the request was read: its unsent rest would keep the connection busy for good.
  if (!(request as ClientRequest).writableFinished) (request as ClientRequest).destroy();
  const headers = fields as Record<string, unknown>;
  const { 'retry-after': retryAfter, 'content-type': contentType, 'content-encoding': encoding = 'identity' } = headers;
  // Where axios has decoded the body, it has removed this header. It does not decode several encodings.
  if (chunks.length > 0 && encoding !== 'identity')
    return { status, headers, retryAfter, contentType: 'text/plain', body: `(Content-Encoding: ${String(encoding)})` };
  const body = chunks.length === 0 ? '' : decodeText(Buffer.concat(chunks).subarray(0, maxBytes), contentType);
  return { status, headers, retryAfter, contentType, body };
}

/** Node's error codes of zlib, Zstandard and Brotli. */
const inflateCode = /^(Z_|ZSTD_|ERR__)/;

/**
 * Sends one request and reads the response. A body beyond the limit is cut, and its connection closed.
 * @param bodyTimeoutOf for a status that decides alone: how long the body may take; what has not arrived by then is dropped, and no error in
 *   it counts. `undefined` where the body matters
 * @throws SinkError if it fails below HTTP; the signal's reason once that is aborted
 */
export async function exchange(
  request: OutgoingRequest,
  maxBytes: number,
  bodyTimeoutOf?: (status: number) => number | undefined,
): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  try {
    const response = await send(request);
    const chunks: Buffer[] = [];
    const bodyTimeoutMs = bodyTimeoutOf?.(response.status);
    if (bodyTimeoutMs !== undefined) timer = setTimeout(() => response.data.destroy(), bodyTimeoutMs);
    await read(response.data, chunks, maxBytes).catch((error: NodeJS.ErrnoException) => {
      // Compressed wrongly, or not at all: its status still counts.
      if (bodyTimeoutMs === undefined && !inflateCode.test(error.code ?? '')) throw error;
    });
    return answerOf(response, chunks, maxBytes);
  } catch (error) {
    request.signal.throwIfAborted();
    throw classifyNetworkError(error);
  } finally {
    clearTimeout(timer);
  }
}

async function read(response: Readable, chunks: Buffer[], maxBytes: number): Promise<void> {
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > maxBytes) return;
  }
}

/** Also what is no content type, such as an empty one. */
const readable = /^\s*text\/|^[^;]*\b(json|xml|javascript|x-www-form-urlencoded)\b|^[^/]*$/i;
/** Only this much of a response is examined, in characters. */
const maxInputLength = 16_000;
const maxLength = 500;

/** A response for display: one line, shortened, without the secrets of the settings and `more`; `null` if empty or neither text nor JSON. */
export function responseOf(answer: string, contentType: unknown, clean: Clean, more?: readonly string[]): string | null {
  if (typeof contentType === 'string' && !readable.test(contentType)) return null;
  const text = answer.slice(0, maxInputLength);
  // Many replacement characters: binary data, whatever its content type.
  if ((text.match(/\ufffd/g)?.length ?? 0) > text.length / 10) return null;
  return cut(clean(text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim(), more), maxLength) || null;
}

/** Decodes bytes in the charset of the content type; UTF-8 if that names none or an unknown one. */
export function decodeText(bytes: Buffer, contentType: unknown): string {
  const charset = typeof contentType === 'string' ? /charset\s*=\s*["']?([\w-]+)/i.exec(contentType)?.[1] : undefined;
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return bytes.toString();
  }
}

/** Adds the response to an error, as `responseOf` shows it. */
export function withResponse(error: SinkError, answer: Pick<Answer, 'body' | 'contentType'>, clean: Clean, more?: readonly string[]) {
  error.response = responseOf(answer.body, answer.contentType, clean, more);
  return error;
}
