import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { AxiosResponse } from 'axios';
import { type SinkError, cut } from '../sinks/errors.js';
import type { Clean } from '../settings/cleaner.js';

/** Content types of text and JSON. */
const readable = /^\s*text\/|^[^;]*\b(json|xml|javascript|x-www-form-urlencoded)\b/i;
/** Only this much of a response is examined, in characters. */
const maxInputLength = 16_000;
const maxLength = 500;

/**
 * A target's response for display: one line, without secrets, shortened; `null` if it is empty or neither text nor JSON.
 * @param more secrets beyond those of the settings, such as a fetched token
 */
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

/** A target's response, read as far as the limits allow. */
export interface TargetAnswer {
  status: number;
  retryAfter: unknown;
  body: string;
  contentType: unknown;
}

/** Responses are read up to these limits, so that the connection can be reused; beyond them the connection is closed. */
const maxAnswerBytes = 64 * 1024;
const answerTimeoutMs = 1000;

/** Reads a response up to the limits; never rejects. @param keep false to discard the body */
export async function readAnswer({ status, headers, data: answer }: AxiosResponse<Readable>, keep: boolean): Promise<TargetAnswer> {
  let bytes = 0;
  const chunks: Buffer[] = [];
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (keep) chunks.push(chunk);
    if (bytes > maxAnswerBytes) answer.destroy();
  });
  const timer = setTimeout(() => answer.destroy(), answerTimeoutMs);
  // A truncated body is no error: the status has arrived.
  await finished(answer).catch(() => undefined);
  clearTimeout(timer);
  const { 'content-type': contentType, 'retry-after': retryAfter } = headers as Record<string, unknown>;
  return { status, retryAfter, body: keep ? decodeText(Buffer.concat(chunks).subarray(0, maxAnswerBytes), contentType) : '', contentType };
}

/** Attaches the target's response to an error. @param more secrets beyond those of the settings */
export function withResponse<E extends SinkError>(
  error: E,
  { body, contentType }: Pick<TargetAnswer, 'body' | 'contentType'>,
  clean: Clean,
  more?: readonly string[],
): E {
  error.response = responseOf(body, contentType, clean, more);
  return error;
}
