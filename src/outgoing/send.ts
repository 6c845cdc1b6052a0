import { type Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
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

/** As large as browsers allow; with Node's 16 kB, a target that sends more (cookies, policies) would never count as having answered. */
const maxHeaderSize = 256 * 1024;

/** Sends one request without retries or redirects; resolves for every status, before the body is read. */
export async function send({ method, url, headers: own, body, agent, signal }: OutgoingRequest): Promise<IncomingMessage> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': userAgent, ...own };
  const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, { method, headers, agent, maxHeaderSize }, resolve);
  const abort = (): void => {
    // A request that has no socket yet would not fail before it gets one.
    reject(signal.reason as Error);
    request.destroy();
  };
  signal.addEventListener('abort', abort, { once: true });
  request.on('error', reject).once('close', () => {
    signal.removeEventListener('abort', abort);
    reject(Object.assign(new Error('closed without a response'), { code: 'ECONNRESET' }));
  });
  request.end(body);
  const response = await promise;
  // Answered before the request was read: its unsent rest would keep the connection busy for good.
  response.once('end', () => request.writableFinished || request.destroy());
  const refusal = proxyRefusal(response.statusCode!, agent);
  if (!refusal) return response;
  response.destroy();
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

function answerOf({ statusCode, headers }: IncomingMessage, chunks: readonly Buffer[], maxBytes: number): Answer {
  const { 'retry-after': retryAfter, 'content-type': contentType } = headers;
  const body = chunks.length === 0 ? '' : decodeText(Buffer.concat(chunks).subarray(0, maxBytes), contentType);
  return { status: statusCode!, headers, retryAfter, contentType, body };
}

/**
 * Sends one request and reads the response. Beyond the limit it is cut, and its connection closed.
 * @throws SinkError if it fails below HTTP; the signal's reason once that is aborted
 */
export async function exchange(request: OutgoingRequest, maxBytes: number): Promise<Answer> {
  try {
    const response = await send(request);
    const chunks: Buffer[] = [];
    await read(response, chunks, maxBytes);
    return answerOf(response, chunks, maxBytes);
  } catch (error) {
    request.signal.throwIfAborted();
    throw classifyNetworkError(error);
  }
}

async function read(response: IncomingMessage, chunks: Buffer[], maxBytes: number): Promise<void> {
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > maxBytes) return;
  }
}

/** Responses are read up to these limits, so that the connection can be reused; beyond them the connection is closed. */
const maxAnswerBytes = 64 * 1024;
const answerTimeoutMs = 1000;

/** Reads a response up to the limits; never rejects. */
export async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  const timer = setTimeout(() => response.destroy(), answerTimeoutMs);
  // A truncated body is no error: the status has arrived.
  await read(response, chunks, maxAnswerBytes).catch(() => undefined);
  clearTimeout(timer);
  return answerOf(response, chunks, maxAnswerBytes);
}

const readable = /^\s*text\/|^[^;]*\b(json|xml|javascript|x-www-form-urlencoded)\b/i;
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
  const charset = typeof contentType === 'string' ? /charset="?([\w-]+)/i.exec(contentType)?.[1] : undefined;
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return bytes.toString();
  }
}

export function withResponse<E extends SinkError>(
  error: E,
  { body, contentType }: Pick<Answer, 'body' | 'contentType'>,
  clean: Clean,
  more?: readonly string[],
): E {
  error.response = responseOf(body, contentType, clean, more);
  return error;
}
