import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { Refusal } from './answer.js';

/** With `info`, zlib also returns how many input bytes it consumed; Node's types omit this. */
type Inflate = (
  data: Buffer,
  options: { maxOutputLength: number; info: true },
) => Promise<{ buffer: Buffer; engine: { bytesWritten: number } }>;

const { gunzip, inflate: deflated, brotliDecompress, zstdDecompress } = zlib;
const inflaters: ReadonlyMap<string, Inflate> = new Map(
  Object.entries({ gzip: gunzip, 'x-gzip': gunzip, deflate: deflated, br: brotliDecompress, zstd: zstdDecompress }).map(
    ([encoding, inflate]) => [encoding, promisify(inflate) as unknown as Inflate],
  ),
);

/** Each frame needs its own decoder, and a small body could hold 200,000 empty ones. */
const maxFrames = 1000;

/**
 * Reads and decompresses a body, using at most four times `limit` bytes of memory. An empty body is accepted with any encoding.
 * @throws Refusal if the decompressed body is too large, its encoding is unknown or its data is corrupt
 */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const inflate = inflaters.get(encoding);
  // Keep the connection open for the answer. Twice the limit, since compressing incompressible data makes it slightly larger.
  const sent = await collect(request.iterator({ destroyOnReturn: false }), inflate ? 2 * limit : limit);
  if (sent.length === 0 || encoding === 'identity' || encoding === '') return sent;
  // Checked after the size: a body that is too large gets 413 even if its encoding is unknown.
  if (!inflate) throw Refusal.invalid('Content-Encoding is none of gzip, deflate, br, zstd');
  return collect(inflated(sent, inflate, limit), limit);
}

/** Decompresses one or more concatenated frames. @throws Refusal */
async function* inflated(data: Buffer, inflate: Inflate, limit: number): AsyncGenerator<Buffer> {
  const corrupt = Refusal.invalid('the body is not what its Content-Encoding says');
  for (let [rest, frames] = [data, 0]; rest.length > 0; frames++) {
    if (frames === maxFrames) throw corrupt;
    const { buffer, engine } = await inflate(rest, { maxOutputLength: limit, info: true }).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'ERR_BUFFER_TOO_LARGE' ? Refusal.tooLarge(limit) : corrupt;
    });
    yield buffer;
    rest = rest.subarray(engine.bytesWritten);
  }
}

async function collect(chunks: AsyncIterable<Buffer>, limit: number): Promise<Buffer> {
  const taken: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > limit) throw Refusal.tooLarge(limit);
    taken.push(chunk);
  }
  return taken.length === 1 ? taken[0]! : Buffer.concat(taken);
}

/** Parses a body as a JSON object. A byte-order mark is dropped, invalid UTF-8 becomes U+FFFD. @throws Refusal */
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
