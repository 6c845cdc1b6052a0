import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { AxiosResponse } from 'axios';
import { type SinkError, cut } from '../sinks/errors.js';
import type { Clean } from '../settings/cleaner.js';

/** The content types of text and JSON. */
const readable = /^\s*text\/|^[^;]*\b(json|xml|javascript|x-www-form-urlencoded)\b/i;
/** So much of an answer is looked at. */
const lookedAt = 16_000;
const kept = 500;

/**
 * What people see of a target's answer: one line, cleaned of secrets, and cut; `null` for nothing, and for what is neither text nor JSON.
 * @param more secrets that no setting holds, such as a token that was fetched
 */
export function responseOf(answer: string, contentType: unknown, clean: Clean, more?: readonly string[]): string | null {
  if (typeof contentType === 'string' && !readable.test(contentType)) return null;
  const text = answer.slice(0, lookedAt);
  // What is no text, whatever it says.
  if ((text.match(/\ufffd/g)?.length ?? 0) > text.length / 10) return null;
  return cut(clean(text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim(), more), kept) || null;
}

/** A text in the charset that its content type names; UTF-8 where it names none that is known. */
export function decoded(bytes: Buffer, contentType: unknown): string {
  const charset = typeof contentType === 'string' ? /charset="?([\w-]+)/i.exec(contentType)?.[1] : undefined;
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return bytes.toString();
  }
}

/** What was answered. */
export interface Answered {
  status: number;
  retryAfter: unknown;
  body: string;
  contentType: unknown;
}

/** How much of an answer is read, so that its connection can be used again; the rest is dropped with the connection. */
const answerLimitBytes = 64 * 1024;
const answerLimitMs = 1000;

/** Reads an answer up to the limits; resolves however it ends. @param keep whether anybody will look at it */
export async function readAnswer({ status, headers, data: answer }: AxiosResponse<Readable>, keep: boolean): Promise<Answered> {
  let bytes = 0;
  const chunks: Buffer[] = [];
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (keep) chunks.push(chunk);
    if (bytes > answerLimitBytes) answer.destroy();
  });
  const timer = setTimeout(() => answer.destroy(), answerLimitMs);
  // An answer that breaks off is an answer: its status has arrived.
  await finished(answer).catch(() => undefined);
  clearTimeout(timer);
  const { 'content-type': contentType, 'retry-after': retryAfter } = headers as Record<string, unknown>;
  return { status, retryAfter, body: keep ? decoded(Buffer.concat(chunks).subarray(0, answerLimitBytes), contentType) : '', contentType };
}

/** The error with what the target answered. @param more secrets that no setting holds */
export function withResponse<E extends SinkError>(
  error: E,
  { body, contentType }: Pick<Answered, 'body' | 'contentType'>,
  clean: Clean,
  more?: readonly string[],
): E {
  error.response = responseOf(body, contentType, clean, more);
  return error;
}
