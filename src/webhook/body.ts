import type { Readable, Transform } from 'node:stream';
import zlib from 'node:zlib';
import type { IncomingMessage } from 'node:http';
import { Refusal } from './answer.js';

const inflaters = new Map<string, () => Transform & { bytesWritten: number }>([
  ['gzip', () => zlib.createGunzip()],
  ['x-gzip', () => zlib.createGunzip()],
  ['deflate', () => zlib.createInflate()],
  ['br', () => zlib.createBrotliDecompress()],
  ['zstd', () => zlib.createZstdDecompress()],
]);

/**
 * Reads and inflates a body, holding at most three times `limit` bytes of it. An empty one is empty whatever its encoding.
 * @throws Refusal if it is too large (counted after decompression), or its encoding is unknown or its data corrupt
 */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const inflate = inflaters.get(encoding);
  // What cannot be compressed grows a little. Size comes before an unknown encoding in the order of the checks.
  const sent = await collect(request, inflate ? 2 * limit : limit);
  if (sent.length === 0 || encoding === 'identity' || encoding === '') return sent;
  if (!inflate) throw Refusal.invalid('Content-Encoding is none of gzip, deflate, br, zstd');
  const inflater = inflate();
  try {
    inflater.end(sent);
    const body = await collect(inflater, limit);
    if (inflater.bytesWritten < sent.length) throw new Error('something follows the data');
    return body;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw Refusal.invalid('the body is not what its Content-Encoding says');
  } finally {
    inflater.destroy();
  }
}

function collect(stream: Readable, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const done = (): void => {
      stream.off('data', take).off('end', whole).off('error', failed).off('close', closed);
    };
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= limit) return void chunks.push(chunk);
      done();
      // A late error of a stream that nobody listens to any more would end the process.
      stream.on('error', () => undefined);
      reject(Refusal.tooLarge(limit));
    };
    const whole = (): void => (done(), resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    const failed = (error: Error): void => (done(), reject(error));
    const closed = (): void => failed(new Error('the request ended before its body'));
    stream.on('data', take).on('end', whole).on('error', failed).on('close', closed);
  });
}

/** The JSON object of a body. A byte-order mark is dropped, invalid UTF-8 becomes U+FFFD. @throws Refusal */
export function parseBody(body: Buffer): Record<string, unknown> {
  const text = body.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
  } catch {
    throw Refusal.invalid('the body is not valid JSON (the sample of the vendor page has comments and lacks commas)');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw Refusal.invalid('the body is not a JSON object');
  return value as Record<string, unknown>;
}
