import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import type { Log } from '../process/log.js';
import { makeFolder, writeWhole } from './spool-files.js';
import { encodeRecord } from './spool-record.js';

/** Stores damaged records and those the database refuses in a folder of their own, for people to look at; each one only once. */
export class Quarantine {
  private readonly folder: string;

  constructor(
    root: string,
    private readonly sync: (folder: string) => Promise<void>,
    private readonly log: Log,
  ) {
    this.folder = join(root, 'refused');
  }

  async add(damaged: readonly Buffer[], refused: readonly InboundWebhook[]): Promise<void> {
    if (damaged.length > 0) {
      const lines = Buffer.concat(damaged.flatMap(line => [line, Buffer.from('\n')]));
      await this.write(`${createHash('sha256').update(lines).digest('hex')}.damaged`, lines, `${damaged.length} damaged`);
    }
    for (const webhook of refused) await this.write(`${webhook.id}.json`, encodeRecord(webhook), 'the database refuses it');
  }

  private async write(name: string, bytes: Buffer, reason: string): Promise<void> {
    await makeFolder(this.folder);
    if (!(await lstat(this.folder)).isDirectory()) throw new Error('refused is no folder');
    const file = join(this.folder, name);
    if (await lstat(file).catch(() => null)) return;
    await writeWhole(file, bytes);
    await this.sync(this.folder);
    this.log.error('spooled webhooks cannot be recorded and were moved to SPOOL_DIR/refused', { file, reason });
  }
}
