import { SharedClock } from '../process/clock.js';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 as uuid } from 'uuid';
import { until } from '../../test/support/until.js';
import { WebhookIntake } from './intake.js';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import { type Recorder, Unavailable } from '../channel/recorder.js';
import { Spool } from './spool.js';
import { byWebhook, logTo } from '../../test/support/engine.js';

const inboundWebhookOf = (): InboundWebhook => ({
  id: uuid(),
  sdkAppId: '1400000001',
  channelId: '@TOA#_a',
  command: 'changed',
  operator: null,
  eventTime: Date.UTC(2026, 0, 1),
  eventTimeEstimated: false,
  ...byWebhook,
  receivedAt: Date.UTC(2026, 0, 1),
  fields: { name: 'a name' },
  body: Buffer.from('{}'),
});

describe('keeper', () => {
  let root: string;
  let intake: WebhookIntake;
  let logged: string[];
  let recorded: string[];
  /** Whether the database answers. */
  let answers: boolean;

  const work = <T>(result: T): Promise<T> => (answers ? Promise.resolve(result) : Promise.reject(new Unavailable('it is away')));
  /** Runs after webhooks of the spool were recorded. */
  let afterRecording: () => Promise<unknown>;
  const recorder = {
    record: (webhook: InboundWebhook) => work('recorded' as const).then(result => (recorded.push(webhook.id), result)),
    ping: () => work(null),
    recordAll: async (webhooks: readonly InboundWebhook[]) => {
      await work(null);
      recorded.push(...webhooks.map(({ id }) => id));
      await afterRecording();
      return [];
    },
  } as unknown as Recorder;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'channel-sync-keeper-spec-'));
    [logged, recorded, answers, afterRecording] = [[], [], true, () => Promise.resolve()];
    const words = {
      'the database is available': 'back',
      'the database is unavailable': 'away',
      'SPOOL_DIR is not': 'broken',
      'SPOOL_DIR is writable': 'well',
      'a spooled file': 'stuck',
    };
    const log = logTo(message => logged.push(Object.entries(words).find(([start]) => message.startsWith(start))?.[1] ?? message));
    intake = new WebhookIntake(recorder, new Spool(join(root, 'spool'), log), new SharedClock(), log);
  });
  afterEach(async () => {
    await intake.stop();
    await rm(root, { recursive: true, force: true });
  });

  /** Replaces the folder by a file, so that not even root can write into it. */
  const breakSpool = async (): Promise<void> => {
    await rename(join(root, 'spool'), join(root, 'away')).catch(() => undefined);
    await writeFile(join(root, 'spool'), '');
  };
  const fixSpool = async (): Promise<void> => {
    await rm(join(root, 'spool'));
    await mkdir(join(root, 'spool'));
  };

  test.each([
    { database: true, folder: true, kept: 'recorded' },
    { database: true, folder: false, kept: 'recorded' },
    { database: false, folder: true, kept: 'spooled' },
    { database: false, folder: false, kept: 'nowhere' },
  ])('a webhook is kept wherever it can be: %j', async ({ database, folder, kept }) => {
    if (!folder) await breakSpool();
    answers = database;
    await intake.start();
    for (let count = 0; count < 3; count++) {
      const keeping = intake.keep(inboundWebhookOf()).catch((error: Error) => (error instanceof Unavailable ? 'nowhere' : error));
      expect(await keeping).toBe(kept);
    }
    expect(intake.spoolWorks).toBe(folder);
    expect(logged).toEqual([...(folder ? [] : ['broken']), ...(database ? [] : ['away'])]);
  });

  test('while the spool is broken the database is asked each time: it may be there again', async () => {
    await breakSpool();
    await intake.start();
    answers = false;
    await expect(intake.keep(inboundWebhookOf())).rejects.toThrow(Unavailable);
    answers = true;
    expect(await intake.keep(inboundWebhookOf())).toBe('recorded');
  });

  // Guards against a spool error that was taken for a database failure, so that every webhook was refused.
  test('what was spooled and cannot be removed is no fault of the database', async () => {
    await intake.start();
    answers = false;
    expect(await intake.keep(inboundWebhookOf())).toBe('spooled');
    const [folder] = await readdir(join(root, 'spool'));
    const file = join(root, 'spool', folder!, '000000001.log');
    // Replaced by a folder, since root can remove any file.
    afterRecording = () => rm(file).then(() => mkdir(file));
    answers = true;
    await until(() => logged.includes('back'), 'all that was spooled');
    for (let count = 0; count < 3; count++) expect(await intake.keep(inboundWebhookOf())).toBe('recorded');
    expect([logged, recorded.length, intake.spooled]).toEqual([['away', 'stuck', 'back'], 4, 0]);
  });

  test('a spool that was broken for a while is used again', async () => {
    await breakSpool();
    answers = false;
    await intake.start();
    await expect(intake.keep(inboundWebhookOf())).rejects.toThrow(Unavailable);
    await fixSpool();
    expect(await intake.keep(inboundWebhookOf())).toBe('spooled');
    expect(intake.spoolWorks).toBe(true);
  });
});
