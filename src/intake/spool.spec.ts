import { mkdir, mkdtemp, readFile, readdir, rm, symlink, truncate, stat, utimes, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { v7 as uuid } from 'uuid';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import { decodeRecords, encodeRecord } from './spool-record.js';
import { Segment } from './spool-segment.js';
import { Spool } from './spool.js';
import { byWebhook, logTo } from '../../test/support/engine.js';
import { until } from '../../test/support/until.js';

const { jest } = import.meta;

const at = Date.UTC(2026, 0, 1);

const inboundWebhookOf = (overrides: Partial<InboundWebhook> = {}): InboundWebhook => ({
  id: uuid(),
  sdkAppId: '1400000001',
  channelId: '@TOA#_a',
  command: 'changed',
  operator: null,
  eventTime: at,
  eventTimeEstimated: false,
  ...byWebhook,
  receivedAt: at,
  fields: { name: 'a name' },
  body: Buffer.from('{}'),
  ...overrides,
});

/** Text as it is after validation of a webhook. */
const text = fc.string({ unit: 'binary' }).map(value => value.replaceAll('\0', ''));
const anyWebhook = fc
  .record({
    channelId: text.filter(value => value.trim() !== '' && Buffer.byteLength(value) <= 255),
    operator: fc.option(text),
    eventTime: fc.integer({ min: Date.UTC(2010, 0, 1), max: at + 600_000 }),
    fields: fc.record({ name: text, introduction: text }, { requiredKeys: [] }),
    body: fc.uint8Array().map(bytes => Buffer.from(bytes)),
  })
  .map(inboundWebhookOf);

describe('records', () => {
  test('come back as they were, as far as the file goes', () => {
    fc.assert(
      fc.property(fc.array(anyWebhook, { maxLength: 5 }), fc.nat(), (webhooks, cut) => {
        const records = webhooks.map(encodeRecord);
        const bytes = Buffer.concat(records);
        const length = bytes.length === 0 ? 0 : cut % (bytes.length + 1);
        let [whole, at] = [0, 0];
        while (whole < records.length && at + records[whole]!.length <= length) at += records[whole++]!.length;
        // A truncated last line is not damage: it was never acknowledged.
        expect(decodeRecords(bytes.subarray(0, length))).toEqual({ webhooks: webhooks.slice(0, whole), damaged: [] });
      }),
    );
  });

  test('a wrong byte is noticed, and costs no other record', () => {
    fc.assert(
      fc.property(
        fc.array(anyWebhook, { minLength: 3, maxLength: 3 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (webhooks, where, by) => {
          const records = webhooks.map(encodeRecord);
          const broken = Buffer.from(records[1]!);
          const at = where % (broken.length - 1);
          broken[at] = broken[at]! ^ by;
          const { webhooks: read, damaged } = decodeRecords(Buffer.concat([records[0]!, broken, records[2]!]));
          expect(read).toEqual([webhooks[0], webhooks[2]]);
          expect(damaged.length).toBeGreaterThan(0);
        },
      ),
    );
  });
});

/** A line of arbitrary text with a valid checksum. */
const lineOf = (json: string): Buffer => Buffer.from(`1 ${crc32(json).toString(16).padStart(8, '0')} ${json}\n`);

// Guards against lines that were trusted for their checksum alone: valid lines beside them were never recorded, and sinks stopped.
test.each<[string, (record: Record<string, unknown>) => unknown]>([
  ['no JSON', () => undefined],
  ['null', () => null],
  ['a number', () => 7],
  ['a list', record => [record]],
  ['empty', () => ({})],
  ...['id', 'sdkAppId', 'channelId', 'command', 'operator', 'eventTime', 'eventTimeEstimated', 'receivedAt', 'fields', 'body'].flatMap(
    (key): [string, (record: Record<string, unknown>) => unknown][] => [
      [`without ${key}`, record => ({ ...record, [key]: undefined })],
      [`with ${key} as a list`, record => ({ ...record, [key]: [7] })],
    ],
  ),
  ...['../../../etc/passwd', randomUUID(), ''].map((id): [string, (record: object) => unknown] => [
    `with the id ${id}`,
    record => ({ ...record, id }),
  ]),
  ...['', '12a', '1'.repeat(21)].map((id): [string, (record: object) => unknown] => [
    `with the app ${id}`,
    record => ({ ...record, sdkAppId: id }),
  ]),
  ...[' ', 'x'.repeat(256), '汉'.repeat(86), 'a\0', 'a\ud800'].map((id): [string, (record: object) => unknown] => [
    `with the channel ${JSON.stringify(id.slice(0, 9))}`,
    record => ({ ...record, channelId: id }),
  ]),
  ...[1e300, -1, 0, 8.64e15, 8.64e15 + 1, 1.5, Number.MAX_SAFE_INTEGER, '1767225600000', null, at + 600_001, Date.UTC(2010, 0, 1) - 1].map(
    (time): [string, (record: object) => unknown] => [`with the time ${time}`, record => ({ ...record, eventTime: time })],
  ),
  ...[1e300, -1, 8.64e15, null].map((time): [string, (record: object) => unknown] => [
    `that arrived at ${time}`,
    record => ({ ...record, receivedAt: time, eventTime: time, eventTimeEstimated: true }),
  ]),
  ['with a field that is no text', record => ({ ...record, fields: { name: 7 } })],
  ['with a field that is null', record => ({ ...record, fields: { name: null } })],
  ['with fields in a list', record => ({ ...record, fields: [] })],
  ['with an unknown command', record => ({ ...record, command: 'renamed' })],
  ['with a body that is no base64', record => ({ ...record, body: '{}' })],
])('a line %s is damaged, whatever its check says', (_, spoil) => {
  const [before, after] = [inboundWebhookOf(), inboundWebhookOf()];
  const [check] = encodeRecord(before).toString().split(' {');
  const record = JSON.parse(encodeRecord(before).toString().slice(check!.length)) as Record<string, unknown>;
  const line = lineOf(JSON.stringify(spoil(record)) ?? '{"id":');
  const { webhooks, damaged } = decodeRecords(Buffer.concat([encodeRecord(before), line, encodeRecord(after)]));
  expect(webhooks).toEqual([before, after]);
  expect(damaged).toEqual([line.subarray(0, -1)]);
});

test('a line of a release that kept no origin is whole', () => {
  const webhook = inboundWebhookOf({ origin: { clientIp: null, platform: null, owner: null } });
  const { body, origin: _, source: __, ...rest } = webhook;
  const line = lineOf(JSON.stringify({ ...rest, body: Buffer.from(body).toString('base64') }));
  expect(decodeRecords(line)).toEqual({ webhooks: [webhook], damaged: [] });
});

test('what a newer release adds to a record is left out', () => {
  const webhook = inboundWebhookOf({ eventTime: at + 60_000, receivedAt: at + 60_000, eventTimeEstimated: true });
  const { body, ...rest } = webhook;
  const record = { ...rest, fields: { ...rest.fields, colour: 'red' }, body: Buffer.from(body).toString('base64'), clientIp: '1.2.3.4' };
  expect(decodeRecords(lineOf(JSON.stringify(record)))).toEqual({ webhooks: [webhook], damaged: [] });
});

describe('spool', () => {
  let root: string;
  let problems: (string | null)[];
  let aside: [string, string][];
  let stuck: [string, string][];
  let unsynced: [string, string][];
  let now: number;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'channel-sync-spool-spec-'));
    [problems, aside, stuck, unsynced, now] = [[], [], [], [], 0];
  });
  afterEach(async () => {
    for (const spool of opened.splice(0)) await spool.close().catch(() => undefined);
    await rm(root, { recursive: true, force: true });
  });

  const opened: Spool[] = [];
  const spoolAt = (directory = root, sync?: (folder: string) => Promise<void>): Spool => {
    const spool = new Spool(
      directory,
      logTo((message, { error, advice, file, folder, reason }) => {
        if (message.startsWith('SPOOL_DIR is writable')) problems.push(null);
        else if (message.startsWith('SPOOL_DIR is not writable')) problems.push((advice ?? error) as string);
        else if (message.startsWith('SPOOL_DIR')) unsynced.push([folder, reason] as [string, string]);
        else (message.includes('refused') ? aside : stuck).push([file, reason] as [string, string]);
      }),
      () => now,
      sync,
    );
    opened.push(spool);
    return spool;
  };
  /** Drains the spool and returns the ids. */
  const drained = async (spool: Spool): Promise<string[]> => {
    const ids: string[] = [];
    for (let taken: number | null = 0; taken !== null;) {
      taken = await spool.drain(webhooks => (ids.push(...webhooks.map(({ id }) => id)), Promise.resolve([])));
    }
    return ids.sort();
  };
  /** Lets a minute pass in which these spools see no new heartbeat of the others. */
  const silence = async (...spools: Spool[]): Promise<void> => {
    for (const spool of spools) await spool.heartbeat();
    now += 60_000;
  };
  const append = async (spool: Spool, count: number): Promise<string[]> => {
    const webhooks = Array.from({ length: count }, () => inboundWebhookOf());
    await Promise.all(webhooks.map(webhook => spool.append(webhook)));
    return webhooks.map(({ id }) => id).sort();
  };

  test('gives back all that was appended, and leaves nothing behind', async () => {
    const spool = spoolAt(join(root, 'made/when/missing'));
    await spool.heartbeat();
    const ids = [...(await append(spool, 1)), ...(await append(spool, 100))].sort();
    expect(spool.size).toBe(101);
    expect(await drained(spool)).toEqual(ids);
    expect(spool.size).toBe(0);
    await spool.close();
    expect(await readdir(join(root, 'made/when/missing'))).toEqual([]);
  });

  test('can be closed when its folder is gone', async () => {
    const spool = spoolAt();
    await append(spool, 1);
    await rm(root, { recursive: true });
    await expect(spool.close()).resolves.toBeUndefined();
  });

  test('a file that is not taken in stays, and is taken in again', async () => {
    const spool = spoolAt();
    const ids = await append(spool, 3);
    await spool.drain(() => Promise.resolve([]));
    await expect(spool.drain(() => Promise.reject(new Error('away')))).rejects.toThrow('away');
    expect(spool.size).toBe(3);
    expect(await drained(spool)).toEqual(ids);
  });

  test('what is appended while something is taken in is not lost', async () => {
    const spool = spoolAt();
    const ids = await append(spool, 50);
    const more: Promise<string[]>[] = [];
    const seen: string[] = [];
    for (let turn = 0; turn < 40; turn++) {
      if (turn < 20) more.push(append(spool, 5));
      await spool.drain(webhooks => (seen.push(...webhooks.map(({ id }) => id)), Promise.resolve([])));
    }
    await Promise.all(more);
    seen.push(...(await drained(spool)));
    expect(seen.sort()).toEqual([...ids, ...(await Promise.all(more)).flat()].sort());
  });

  test('what a silent process left is taken over by one other, also what that one had taken over; a living one is left alone', async () => {
    const [first, second, third, fourth] = [spoolAt(), spoolAt(), spoolAt(), spoolAt()];
    await first.heartbeat();
    const ids = await append(first, 3);
    await second.heartbeat();
    now += 59_999;
    await second.heartbeat();
    expect(second.size).toBe(0);
    now += 1;
    await second.heartbeat();
    expect(second.size).toBe(3);
    ids.push(...(await append(second, 2)));
    await silence(third, fourth);
    await fourth.heartbeat();
    now += 59_999;
    // These two see each other's heartbeat for the first time, but have both seen the second's before.
    await Promise.all([third.heartbeat(), fourth.heartbeat()]);
    expect([Math.min(third.size, fourth.size), Math.max(third.size, fourth.size)]).toEqual([0, 5]);
    expect([...(await drained(third)), ...(await drained(fourth))].sort()).toEqual(ids.sort());
  });

  // Guards against heartbeats dated by one machine's clock and judged by another's.
  test('a heartbeat counts by its changes, whatever date a clock gave it', async () => {
    const [writer, reader] = [spoolAt(), spoolAt()];
    await writer.heartbeat();
    await append(writer, 1);
    const [folder] = await readdir(root);
    for (let beats = 0, date = 86_400 * 365; beats < 5; beats++) {
      now += 30_000;
      await writer.heartbeat();
      // A clock that is stopped far in the past, then in the future.
      if (beats === 3) date = 4e9;
      await utimes(join(root, folder!, 'heartbeat'), date, date);
      await reader.heartbeat();
      expect(reader.size).toBe(0);
    }
    now += 60_000;
    await reader.heartbeat();
    expect(reader.size).toBe(1);
  });

  test('a process that was only frozen notices that its folder was taken over, and keeps what it answers for', async () => {
    const [frozen, other] = [spoolAt(), spoolAt()];
    await frozen.heartbeat();
    const before = await append(frozen, 2);
    await silence(other);
    await other.heartbeat();
    // Fails without the lstat after the fsync: this webhook would be written to a file that was already taken over.
    const taken = await drained(other);
    const after = await append(frozen, 2);
    await frozen.heartbeat();
    expect(taken).toEqual(before);
    expect(await drained(frozen)).toEqual(after);
  });

  test('a closed one is taken over at once', async () => {
    const [first, second] = [spoolAt(), spoolAt()];
    await first.heartbeat();
    const ids = await append(first, 1);
    await first.close();
    await second.heartbeat();
    expect(await drained(second)).toEqual(ids);
  });

  test('a folder that cannot be written is told once, and when it is well again', async () => {
    const directory = join(root, 'blocked');
    await writeFile(directory, 'a file where the folder should be');
    const spool = spoolAt(join(directory, 'below'));
    await spool.heartbeat();
    await expect(spool.append(inboundWebhookOf())).rejects.toThrow(/EEXIST|ENOTDIR/);
    await expect(spool.append(inboundWebhookOf())).rejects.toThrow(/EEXIST|ENOTDIR/);
    expect(spool.problem).not.toBeNull();
    // Advice would be about the database.
    expect(problems).toEqual([expect.stringMatching(/EEXIST|ENOTDIR/)]);
    await rm(directory);
    await mkdir(directory);
    await spool.heartbeat();
    expect(spool.problem).toBeNull();
    await until(() => problems.at(-1) === null, 'the end of the outage');
    const ids = await append(spool, 1);
    expect(await drained(spool)).toEqual(ids);
  });

  // Guards against refusing every webhook until the next heartbeat, up to 5 s.
  test('a folder that was removed, by whomever, is made again at once', async () => {
    const spool = spoolAt();
    await spool.heartbeat();
    await rm(root, { recursive: true });
    const ids = await append(spool, 1);
    expect(await drained(spool)).toEqual(ids);
    await rm(root, { recursive: true });
    expect(await append(spool, 1)).toHaveLength(1);
    expect(problems).toEqual([]);
  });

  // Guards against leaving a file for each webhook that was refused because the disk is full.
  test('what could not be written leaves no file behind', async () => {
    const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    let folders = 0;
    const spool = spoolAt(root, folder => (dirname(folder) === root && folders++ < 5 ? Promise.reject(full) : Promise.resolve()));
    for (let tries = 0; tries < 5; tries++) await expect(spool.append(inboundWebhookOf())).rejects.toThrow('ENOSPC');
    const written = jest.spyOn(Segment.prototype, 'append').mockRejectedValueOnce(full).mockRejectedValueOnce(full);
    for (let tries = 0; tries < 2; tries++) await expect(spool.append(inboundWebhookOf())).rejects.toThrow('ENOSPC');
    written.mockRestore();
    const ids = await append(spool, 1);
    expect((await readdir(root, { recursive: true })).filter(path => path.endsWith('.log'))).toHaveLength(1);
    expect(await drained(spool)).toEqual(ids);
  });

  // Fails if `close` removes a folder whose other files were drained, or if a process looks at the file only once.
  test('a file that cannot be read is told once, keeps no other waiting, and is tried again by this process and the next', async () => {
    const spool = spoolAt();
    await spool.heartbeat();
    const ids = await append(spool, 1);
    await spool.drain(() => Promise.resolve([]));
    const others = await append(spool, 2);
    const [folder] = await readdir(root);
    const [first] = (await readdir(join(root, folder!))).filter(name => name.endsWith('.log'));
    const file = join(root, folder!, first!);
    const bytes = await readFile(file);
    // Not by permissions, which do not apply to root.
    await truncate(file, 2 ** 29);
    expect(await drained(spool)).toEqual(others);
    now += 60_000;
    expect(await drained(spool)).toEqual([]);
    expect([stuck, aside]).toEqual([[[file, expect.stringContaining('larger')]], []]);
    await spool.close();
    const next = spoolAt();
    await next.heartbeat();
    expect(await drained(next)).toEqual([]);
    await truncate(join(root, (await readdir(root))[0]!, `${folder}-${first}`), bytes.length);
    expect(await drained(next)).toEqual([]);
    now += 60_000;
    expect(await drained(next)).toEqual(ids);
  });

  test('what is damaged or refused is put aside and told, the rest is taken in', async () => {
    const spool = spoolAt();
    const ids = await append(spool, 3);
    const [folder] = await readdir(root);
    const file = join(root, folder!, '000000001.log');
    await spool.drain(() => Promise.resolve([]));
    await writeFile(file, `1 00000000 {"broken"}\n`, { flag: 'a' });
    const seen: string[] = [];
    const taken = await spool.drain(webhooks => (seen.push(...webhooks.map(({ id }) => id)), Promise.resolve(webhooks.slice(0, 1))));
    expect([taken, seen.sort()]).toEqual([3, ids]);
    const files = await readdir(join(root, 'refused'));
    expect(files).toHaveLength(2);
    expect(aside.map(([path]) => path).sort()).toEqual(files.map(name => join(root, 'refused', name)).sort());
    const kept = files.find(name => name.endsWith('.json'))!;
    expect(decodeRecords(await readFile(join(root, 'refused', kept))).webhooks).toHaveLength(1);
    expect(spool.size).toBe(0);
  });

  // Guards against a file that counted as empty and was therefore never read.
  test('a file that was taken over is put aside, be everything in it damaged, while nothing else is spooled', async () => {
    const folder = join(root, randomUUID());
    await mkdir(folder);
    await writeFile(join(folder, '000000001.log'), 'rubbish\n1 00000000 {}\n');
    await writeFile(join(folder, 'heartbeat'), 'left');
    const spool = spoolAt();
    await spool.heartbeat();
    expect(await drained(spool)).toEqual([]);
    const [name] = await readdir(join(root, 'refused'));
    expect(aside).toEqual([[join(root, 'refused', name!), '2 damaged']]);
    expect(await readFile(join(root, 'refused', name!), 'utf8')).toBe('rubbish\n1 00000000 {}\n');
    await spool.close();
    expect(await readdir(root)).toEqual(['refused']);
  });

  // Guards against following links: their targets were quarantined as damaged and deleted.
  test('symbolic links are never followed, and what is not ours is neither taken in nor deleted', async () => {
    const others = await mkdtemp(join(tmpdir(), 'channel-sync-others-'));
    await writeFile(join(others, 'diary.log'), 'dear diary\n');
    const left = join(root, randomUUID());
    await mkdir(join(left, 'notes'), { recursive: true });
    await writeFile(join(left, 'notes', 'todo.txt'), 'tea');
    await symlink(join(others, 'diary.log'), join(left, '000000001.log'));
    await symlink(others, join(left, randomUUID()));
    await symlink(join(others, 'diary.log'), join(left, 'heartbeat'));
    await symlink(others, join(root, randomUUID()));
    await writeFile(join(root, randomUUID()), 'a file where a folder should be');
    await mkdir(join(root, 'backup'));
    await writeFile(join(root, 'backup', '000000001.log'), 'mine\n');
    const before = await readdir(root, { recursive: true });
    const spool = spoolAt();
    for (let minutes = 0; minutes < 3; minutes++) await silence(spool);
    await rm(join(left, 'heartbeat'));
    for (let minutes = 0; minutes < 3; minutes++) await silence(spool);
    expect(await drained(spool)).toEqual([]);
    await spool.close();
    expect([problems, aside, stuck]).toEqual([[], [], []]);
    expect(await readdir(others)).toEqual(['diary.log']);
    const kept = (await readdir(root, { recursive: true })).map(path => path.split('/').at(-1)!);
    for (const path of before.filter(path => !path.endsWith('heartbeat'))) expect(kept).toContain(path.split('/').at(-1));
    await rm(others, { recursive: true });
  });

  test('what is put aside goes through no link', async () => {
    const others = await mkdtemp(join(tmpdir(), 'channel-sync-others-'));
    await symlink(others, join(root, 'refused'));
    const spool = spoolAt();
    await append(spool, 1);
    const refuse = (): Promise<number | null> => spool.drain(webhooks => Promise.resolve(webhooks));
    await refuse();
    expect(await refuse()).toBe(1);
    expect([await readdir(others), aside, stuck]).toEqual([[], [], [[expect.stringMatching(/log$/), 'refused is no folder']]]);
    await rm(join(root, 'refused'));
    now += 60_000;
    await refuse();
    expect(await readdir(join(root, 'refused'))).toHaveLength(1);
    await rm(others, { recursive: true });
  });

  test('everything is for its owner alone', async () => {
    const spool = spoolAt(join(root, 'data/spool'));
    await spool.heartbeat();
    await append(spool, 1);
    await spool.drain(webhooks => Promise.resolve(webhooks));
    await append(spool, 1);
    await spool.drain(webhooks => Promise.resolve(webhooks));
    for (const path of await readdir(root, { recursive: true })) {
      const found = await stat(join(root, path));
      expect([path, (found.mode & 0o777).toString(8)]).toEqual([path, found.isDirectory() ? '700' : '600']);
    }
  });

  // Guards against refusing every webhook because of this error.
  test.each(['EINVAL', 'ENOTSUP', 'EPERM', 'EBADF'])('a file system that cannot fsync folders (%s) is told once, and used', async code => {
    const spool = spoolAt(root, () => Promise.reject(Object.assign(new Error('fsync'), { code })));
    await spool.heartbeat();
    const ids = await append(spool, 2);
    await spool.heartbeat();
    expect([spool.problem, unsynced]).toEqual([null, [[root, code]]]);
    expect(await drained(spool)).toEqual(ids);
  });

  test.each(['EIO', 'ENOSPC'])('a folder whose fsync fails with %s is not relied on', async code => {
    const spool = spoolAt(root, () => Promise.reject(Object.assign(new Error('fsync'), { code })));
    await expect(spool.append(inboundWebhookOf())).rejects.toMatchObject({ code });
    expect([spool.problem, unsynced]).toEqual([code, []]);
  });

  test('what is taken in but cannot be removed is recorded, told once, and dropped when it can be', async () => {
    const spool = spoolAt();
    const ids = await append(spool, 2);
    await spool.drain(() => Promise.resolve([]));
    const [folder] = await readdir(root);
    const file = join(root, folder!, '000000001.log');
    const bytes = await readFile(file);
    // Replaced by a folder, since root can remove any file.
    const swap = async (webhooks: InboundWebhook[]): Promise<InboundWebhook[]> => {
      await rm(file);
      await mkdir(file);
      return Promise.resolve(webhooks.slice(2));
    };
    expect(await spool.drain(swap)).toBe(2);
    expect([spool.size, await drained(spool), stuck]).toEqual([0, [], [[file, expect.any(String)]]]);
    await rm(file, { recursive: true });
    await writeFile(file, bytes);
    now += 60_000;
    expect(await drained(spool)).toEqual(ids);
    expect(await readdir(join(root, folder!))).not.toContain('000000001.log');
  });
});
