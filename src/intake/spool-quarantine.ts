import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import { makeFolder } from '../process/make-folder.js';
import { writeWhole } from './spool-files.js';
import { encodeRecord } from './spool-record.js';

/**
 * Stores damaged records and those that the database refuses in a folder of their own, for people to look at; each one only once.
 * @param onAdded awaited after each file
 */
export async function quarantine(
  folder: string,
  damaged: readonly Buffer[],
  refused: readonly InboundWebhook[],
  onAdded: (file: string, reason: string) => Promise<void>,
): Promise<void> {
  const lines = Buffer.concat(damaged.flatMap(line => [line, Buffer.from('\n')]));
  const hash = createHash('sha256').update(lines).digest('hex');
  const records = refused.map(webhook => ({ name: `${webhook.id}.json`, bytes: encodeRecord(webhook), reason: 'the database refuses it' }));
  if (damaged.length > 0) records.push({ name: `${hash}.damaged`, bytes: lines, reason: `${damaged.length} damaged` });
  for (const { name, bytes, reason } of records) {
    await makeFolder(folder);
    if (!(await lstat(folder)).isDirectory()) throw new Error('refused is no folder');
    const file = join(folder, name);
    if (await lstat(file).catch(() => null)) continue;
    await writeWhole(file, bytes);
    await onAdded(file, reason);
  }
}
