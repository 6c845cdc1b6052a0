import { mkdir, mkdtemp, readFile, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { v7 as uuid } from 'uuid';
import type { Receipt } from './recorder.js';
import { decodeRecords, encodeRecord } from './spool-record.js';
import { Spool } from './spool.js';

const receiptOf = (overrides: Partial<Receipt> = {}): Receipt => ({
  id: uuid(),
  sdkAppId: '1400000001',
  channelId: '@TOA#_a',
  command: 'changed',
  operator: null,
  eventTime: 1,
  eventTimeEstimated: false,
  receivedAt: 2,
  fields: { name: 'a name' },
  body: Buffer.from('{}'),
  ...overrides,
});

const anyReceipt = fc
  .record({
    channelId: fc.string({ unit: 'binary' }),
    operator: fc.option(fc.string({ unit: 'binary' })),
    eventTime: fc.nat(),
    fields: fc.record({ name: fc.string({ unit: 'binary' }), introduction: fc.string({ unit: 'binary' }) }, { requiredKeys: [] }),
    body: fc.uint8Array().map(bytes => Buffer.from(bytes)),
  })
  .map(receiptOf);

describe('records', () => {
  test('come back as they were, as far as the file goes', () => {
    fc.assert(
      fc.property(fc.array(anyReceipt, { maxLength: 5 }), fc.nat(), (receipts, cut) => {
        const records = receipts.map(encodeRecord);
        const bytes = Buffer.concat(records);
        const length = bytes.length === 0 ? 0 : cut % (bytes.length + 1);
        let [whole, at] = [0, 0];
        while (whole < records.length && at + records[whole]!.length <= length) at += records[whole++]!.length;
        // A torn end is nobody's damage: it was never answered for.
        expect(decodeRecords(bytes.subarray(0, length))).toEqual({ receipts: receipts.slice(0, whole), damaged: [] });
      }),
    );
  });

  test('a wrong byte is noticed, and costs no other record', () => {
    fc.assert(
      fc.property(
        fc.array(anyReceipt, { minLength: 3, maxLength: 3 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (receipts, where, by) => {
          const records = receipts.map(encodeRecord);
          const broken = Buffer.from(records[1]!);
          const at = where % (broken.length - 1);
          broken[at] = broken[at]! ^ by;
          const { receipts: read, damaged } = decodeRecords(Buffer.concat([records[0]!, broken, records[2]!]));
          expect(read).toEqual([receipts[0], receipts[2]]);
          expect(damaged.length).toBeGreaterThan(0);
        },
      ),
    );
  });
});

describe('spool', () => {
  let root: string;
  let problems: (string | null)[];
  let aside: [string, string][];
  let unreadable: [string, string][];
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'channel-sync-spool-spec-'));
    [problems, aside, unreadable] = [[], [], []];
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const spoolAt = (directory = root): Spool =>
    new Spool(
      directory,
      problem => problems.push(problem),
      (file, reason) => aside.push([file, reason]),
      (file, reason) => unreadable.push([file, reason]),
    );
  /** Everything that can be taken in, by id. */
  const drained = async (spool: Spool): Promise<string[]> => {
    const ids: string[] = [];
    for (let taken: number | null = 0; taken !== null;) {
      taken = await spool.takeIn(receipts => (ids.push(...receipts.map(({ id }) => id)), Promise.resolve([])));
    }
    return ids.sort();
  };
  /** Makes a folder look as if its process had been silent for a minute. */
  const silence = async (...folders: string[]): Promise<void> => {
    const then = Date.now() / 1000 - 61;
    for (const folder of folders) await utimes(join(root, folder, 'heartbeat'), then, then);
  };
  const append = async (spool: Spool, count: number): Promise<string[]> => {
    const receipts = Array.from({ length: count }, () => receiptOf());
    await Promise.all(receipts.map(receipt => spool.append(receipt)));
    return receipts.map(({ id }) => id).sort();
  };

  test('gives back all that was appended, and leaves nothing behind', async () => {
    const spool = spoolAt(join(root, 'made/when/missing'));
    await spool.beat();
    const ids = [...(await append(spool, 1)), ...(await append(spool, 100))].sort();
    expect(spool.size).toBe(101);
    expect(await drained(spool)).toEqual(ids);
    expect(spool.size).toBe(0);
    await spool.close();
    expect(await readdir(join(root, 'made/when/missing'))).toEqual([]);
  });

  test('a file that is not taken in stays, and is taken in again', async () => {
    const spool = spoolAt();
    const ids = await append(spool, 3);
    await spool.takeIn(() => Promise.resolve([]));
    await expect(spool.takeIn(() => Promise.reject(new Error('away')))).rejects.toThrow('away');
    expect(spool.size).toBe(3);
    expect(await drained(spool)).toEqual(ids);
  });

  test('what is appended while something is taken in is not lost', async () => {
    const spool = spoolAt();
    const ids = await append(spool, 50);
    const more: Promise<string[]>[] = [];
    const seen: string[] = [];
    for (let taken: number | null = 0, turn = 0; taken !== null; turn++) {
      if (turn < 20) more.push(append(spool, 5));
      taken = await spool.takeIn(receipts => (seen.push(...receipts.map(({ id }) => id)), Promise.resolve([])));
      if (taken === 0) await Promise.all(more);
    }
    expect(seen.sort()).toEqual([...ids, ...(await Promise.all(more)).flat()].sort());
  });

  test('what a silent process left is taken over by one other, also what that one had taken over; a living one is left alone', async () => {
    const [first, second, third, fourth] = [spoolAt(), spoolAt(), spoolAt(), spoolAt()];
    await first.beat();
    const ids = await append(first, 3);
    await second.beat();
    expect(second.size).toBe(0);
    await silence(...(await readdir(root)));
    await second.beat();
    expect(second.size).toBe(3);
    ids.push(...(await append(second, 2)));
    await silence(...(await readdir(root)));
    await Promise.all([third.beat(), fourth.beat()]);
    expect([Math.min(third.size, fourth.size), Math.max(third.size, fourth.size)]).toEqual([0, 5]);
    expect([...(await drained(third)), ...(await drained(fourth))].sort()).toEqual(ids.sort());
  });

  test('a process that was only frozen notices that its folder was taken over, and keeps what it answers for', async () => {
    const [frozen, other] = [spoolAt(), spoolAt()];
    await frozen.beat();
    const before = await append(frozen, 2);
    await silence(...(await readdir(root)));
    await other.beat();
    // Seen failing without the look at the file after the fsync: this one went to where nobody looks any more.
    const taken = await drained(other);
    const after = await append(frozen, 2);
    await frozen.beat();
    expect(taken).toEqual(before);
    expect(await drained(frozen)).toEqual(after);
  });

  test('a closed one is taken over at once', async () => {
    const [first, second] = [spoolAt(), spoolAt()];
    await first.beat();
    const ids = await append(first, 1);
    await first.close();
    await second.beat();
    expect(await drained(second)).toEqual(ids);
  });

  test('a folder that cannot be written is told once, and when it is well again', async () => {
    const directory = join(root, 'blocked');
    await writeFile(directory, 'a file where the folder should be');
    const spool = spoolAt(directory);
    await spool.beat();
    await expect(spool.append(receiptOf())).rejects.toThrow(/EEXIST|ENOTDIR/);
    await expect(spool.append(receiptOf())).rejects.toThrow(/EEXIST|ENOTDIR/);
    expect(spool.problem).not.toBeNull();
    expect(problems).toHaveLength(1);
    await rm(directory);
    await mkdir(directory);
    await spool.beat();
    expect([spool.problem, problems.at(-1)]).toEqual([null, null]);
    const ids = await append(spool, 1);
    expect(await drained(spool)).toEqual(ids);
  });

  // Seen failing with a close that removes a folder from which everything else was taken in.
  test('a file that cannot be read is told, stays for the next process, and keeps no other waiting', async () => {
    const spool = spoolAt();
    await spool.beat();
    await append(spool, 1);
    await spool.takeIn(() => Promise.resolve([]));
    const ids = await append(spool, 2);
    const [folder] = await readdir(root);
    const [first] = (await readdir(join(root, folder!))).filter(name => name.endsWith('.log'));
    const file = join(root, folder!, first!);
    const bytes = await readFile(file);
    // More than Node reads at once: permissions do not keep root out.
    await truncate(file, 2 ** 31);
    expect(await drained(spool)).toEqual(ids);
    expect([unreadable, aside]).toEqual([[[file, 'ERR_FS_FILE_TOO_LARGE']], []]);
    expect(spool.size).toBe(0);
    await spool.close();
    await truncate(file, bytes.length);
    const next = spoolAt();
    await next.beat();
    expect(await drained(next)).toHaveLength(1);
  });

  test('what is damaged or refused is put aside and told, the rest is taken in', async () => {
    const spool = spoolAt();
    const ids = await append(spool, 3);
    const [folder] = await readdir(root);
    const file = join(root, folder!, '000000001.log');
    await spool.takeIn(() => Promise.resolve([]));
    await writeFile(file, `1 00000000 {"broken"}\n`, { flag: 'a' });
    const seen: string[] = [];
    const taken = await spool.takeIn(receipts => (seen.push(...receipts.map(({ id }) => id)), Promise.resolve(receipts.slice(0, 1))));
    expect([taken, seen.sort()]).toEqual([3, ids]);
    const files = await readdir(join(root, 'refused'));
    expect(files).toHaveLength(2);
    expect(aside.map(([path]) => path).sort()).toEqual(files.map(name => join(root, 'refused', name)).sort());
    const kept = files.find(name => name.endsWith('.json'))!;
    expect(decodeRecords(await readFile(join(root, 'refused', kept))).receipts).toHaveLength(1);
    expect(spool.size).toBe(0);
  });
});
