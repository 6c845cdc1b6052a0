import { setTimeout as sleep } from 'node:timers/promises';
import { logTo } from '../../../test/support/engine.js';
import { type FakeVendor, failed, fakeVendor, succeeded } from '../../../test/support/fake-vendor.ts';
import { proxiesFrom } from '../../outgoing/proxies.js';
import { Clock } from '../../process/clock.js';
import { EngineEvents } from '../../process/engine-events.js';
import { inEnglish } from '../../explanations/explanation.js';
import { readApps } from '../../settings/declared-apps.js';
import { textsOf } from '../../settings/environment.js';
import { listSubscribed, readChannels } from './reader.js';
import { VendorApi } from './api.js';
import { VendorError } from './error.js';

let vendor: FakeVendor;
let api: VendorApi;
let codes: string[];
let lines: [message: string, fields: Record<string, unknown>][];
let paced: number;
const never = new AbortController().signal;
const pace = async () => {
  paced += 1;
  return () => undefined;
};

function open(more: Record<string, string> = {}, clock = new Clock()): VendorApi {
  const events = new EngineEvents().on('vendor request', (app, code) => codes.push(`${app} ${code}`));
  const given = textsOf({ ...vendor.environment, ...more }, () => true);
  const [app] = readApps(given, [vendor.appId]);
  expect(given.mistakes).toEqual([]);
  return new VendorApi(
    app!,
    proxiesFrom(new Map()).proxies,
    clock,
    events,
    logTo((message, fields) => lines.push([message, fields])),
    pace,
  );
}
beforeEach(async () => {
  [codes, lines, paced] = [[], [], 0];
  vendor = await fakeVendor();
  vendor.channels.set('@TOA#_a', { Name: 'A', FaceUrl: '', Introduction: null, Organization: 'o', Owner_Account: 'u', CreateTime: 1 });
  vendor.channels.set('@TOA#_b', { Name: 'B' });
  api = open();
});
afterEach(async () => {
  api.close();
  await vendor.close();
  const output = JSON.stringify(lines);
  const secrets = [vendor.key, ...vendor.calls.map(({ userSig }) => userSig)];
  if (secrets.some(one => output.includes(one))) throw new Error(`the log tells a secret: ${output}`);
});

const read = (...ids: string[]) => readChannels(api, ids, never);
async function kinds(...ids: string[]): Promise<string[]> {
  const readings = await read(...ids);
  return ids.map(id => readings.get(id)!).map(one => (one.kind === 'failed' ? inEnglish(one.why) : one.kind));
}
async function refusal(work: Promise<unknown>): Promise<VendorError> {
  const error: unknown = await work.then(
    () => null,
    (failure: unknown) => failure,
  );
  expect(error).toBeInstanceOf(VendorError);
  expect(JSON.stringify([error, (error as VendorError).message])).not.toMatch(/usersig=|planted5ecret|random=/);
  return error as VendorError;
}

test('what the vendor carries, and as of when', async () => {
  const before = Date.now();
  const readings = await read('@TOA#_a', '@TOA#_gone');
  expect(readings.get('@TOA#_a')).toMatchObject({ kind: 'found', fields: { name: 'A', avatarUrl: '', organization: 'o' }, owner: 'u' });
  const { at, behindMs } = readings.get('@TOA#_a')!;
  // The Date header has whole seconds.
  expect(at).toBeGreaterThan(before - 11_000);
  expect(at).toBeLessThanOrEqual(Date.now() - 10_000);
  expect(behindMs).toBeLessThan(1000);
  expect(readings.get('@TOA#_gone')).toMatchObject({ kind: 'gone' });
  expect([codes, paced]).toEqual([['1400000001 0'], 1]);
  expect(lines).toContainEqual([
    "Tencent's API answered",
    { app: '1400000001', command: 'get_official_account_info', code: 0, requestId: 'a-request' },
  ]);
});

test('connections are kept, the UserSig is made once', async () => {
  for (let times = 0; times < 3; times += 1) await read('@TOA#_a');
  expect(new Set(vendor.requests.map(({ remotePort }) => remotePort)).size).toBe(1);
  expect(new Set(vendor.calls.map(({ userSig }) => userSig)).size).toBe(1);
  expect(new Set(vendor.requests.map(({ path }) => /random=(\d+)/.exec(path)![1])).size).toBe(3);
});

test('the earlier of both clocks counts, and a distance is told once until it is gone', async () => {
  const say = (date: string): void => void (vendor.fault = () => ({ ...succeeded({ OfficialAccountInfoList: [] }), headers: { date } }));
  const readAt = async (): Promise<number> => (await read('x')).get('x')!.at;
  const minute = 60_000;
  say(new Date(Date.now() - minute).toUTCString());
  expect(Math.abs((await readAt()) - (Date.now() - 70_000))).toBeLessThan(2000);
  expect((await read('x')).get('x')!.behindMs).toBeGreaterThan(59_000);
  say(new Date(Date.now() + minute).toUTCString());
  expect(Math.abs((await readAt()) - (Date.now() - 10_000))).toBeLessThan(2000);
  say('nonsense');
  expect(Math.abs((await readAt()) - (Date.now() - 10_000))).toBeLessThan(2000);
  expect(lines.filter(([message]) => message === "our clock and Tencent's differ")).toHaveLength(1);
});

test.each(['-40', '0', '2001'])('a Date that is only a number counts as none, not as a year (%s)', async date => {
  vendor.fault = () => ({ ...succeeded({ OfficialAccountInfoList: [] }), headers: { date } });
  expect((await read('x')).get('x')).toMatchObject({ kind: 'gone', behindMs: 0 });
});

test.each([
  [70003, 'stop', 'APP_1400000001_SECRET_KEY'],
  [70009, 'stop', 'APP_1400000001_SECRET_KEY'],
  [60006, 'stop', 'APP_1400000001_REST_URL'],
  [60010, 'stop', 'APP_1400000001_IDENTIFIER'],
  [60020, 'stop', 'Renew the plan'],
  [60021, 'stop', 'allowlist'],
  [70107, 'stop', 'APP_1400000001_IDENTIFIER'],
  [131000, 'stop', 'Enable official channels'],
  [60002, 'stop', 'APP_1400000001_REST_URL'],
  [60007, 'retry', 'COMPARE_RATE_PER_SECOND'],
  [60008, 'retry', 'Nothing to do'],
  [10004, 'retry', 'Nothing to do'],
  [424242, 'retry', 'look the code up'],
])('%d is %s, with advice', async (code, kind, advice) => {
  vendor.fault = () => code;
  const error = await refusal(read('@TOA#_a'));
  expect(error).toMatchObject({ kind, code, waitMs: 0 });
  expect(inEnglish(error.advice)).toContain(advice);
  expect(error.message).toContain(String(code));
  expect(codes).toEqual([`1400000001 ${code}`]);
});

test('70050 waits a minute', async () => {
  vendor.fault = () => 70050;
  expect(await refusal(read('@TOA#_a'))).toMatchObject({ kind: 'retry', waitMs: 60_000 });
});

test('70001 signs anew, once', async () => {
  let times = 0;
  vendor.fault = () => ((times += 1) === 1 ? 70001 : undefined);
  expect(await kinds('@TOA#_a')).toEqual(['found']);
  expect([codes, paced]).toEqual([['1400000001 70001', '1400000001 0'], 2]);
  vendor.fault = () => 70001;
  expect(await refusal(read('@TOA#_a'))).toMatchObject({ kind: 'stop' });
  expect(vendor.calls).toHaveLength(4);
});

test('a UserSig is made anew long before its end, and after our clock was put back', async () => {
  const clock = new Clock();
  let now = Date.now();
  clock.now = () => now;
  api.close();
  api = open({}, clock);
  for (const ms of [0, 11 * 3_600_000, 2 * 3_600_000, -20 * 3_600_000]) {
    now += ms;
    await read('@TOA#_a').catch(() => undefined);
  }
  const [one, two, three, four] = vendor.calls.map(({ userSig }) => userSig);
  expect([one === two, two === three, three === four]).toEqual([true, false, false]);
});

test('a wrong key, as the vendor finds it', async () => {
  api.close();
  api = open({ APP_1400000001_SECRET_KEY: 'another-key' });
  expect(await refusal(read('@TOA#_a'))).toMatchObject({ kind: 'stop', code: 70009 });
});

test.each([
  ['502', { status: 502, body: 'bad gateway' }, 'http_502'],
  ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:1/' } }, 'http_302'],
  ['a page that is not there', { status: 404, body: {} }, 'http_404'],
  ['HTML', { body: '<html>' }, 'http_200'],
  ['nothing', { body: '' }, 'http_200'],
  ['a list', { body: '[]' }, 'http_200'],
  ['no code', { body: { ActionStatus: 'OK' } }, 'http_200'],
  ['a code that is text', { body: { ActionStatus: 'OK', ErrorCode: '0' } }, 'http_200'],
  ['success that says FAIL', { body: { ActionStatus: 'FAIL', ErrorCode: 0 } }, 'http_200'],
  ['megabytes', { body: 'x'.repeat(9_000_000) }, 'http_200'],
])('an outage: %s', async (_, answer, code) => {
  vendor.fault = () => answer;
  const error = await refusal(read('@TOA#_a'));
  expect([error.kind, error.code, inEnglish(error.advice)]).toEqual(['retry', null, expect.stringContaining('APP_1400000001_REST_URL')]);
  expect(codes).toEqual([`1400000001 ${code}`]);
});

test('nobody there is an outage, an unknown host a mistake that names the variable', async () => {
  const arrived = Promise.withResolvers<void>();
  vendor.fault = () => new Promise(() => arrived.resolve());
  const asked = refusal(read('@TOA#_a'));
  await arrived.promise;
  vendor.http.closeAllConnections();
  expect(await asked).toMatchObject({ kind: 'retry', message: 'the API of Tencent cannot be reached: connection reset' });
  api.close();
  api = open({ APP_1400000001_REST_URL: 'http://no-such-host.invalid' });
  const error = await refusal(read('@TOA#_a'));
  // Without a resolver the failure is "try again".
  expect(error.kind === 'retry' || inEnglish(error.advice) === 'Check APP_1400000001_REST_URL.').toBe(true);
  expect(codes).toEqual(['1400000001 network', '1400000001 network']);
});

test('no answer within 10 s', async () => {
  vendor.fault = () => new Promise(() => undefined);
  const before = Date.now();
  expect(await refusal(read('@TOA#_a'))).toMatchObject({
    kind: 'retry',
    message: 'the API of Tencent cannot be reached: timed out after 10 s',
  });
  expect(Date.now() - before).toBeGreaterThan(9900);
  expect(codes).toEqual(['1400000001 timeout']);
}, 20_000);

test('our own end is no failure of the API', async () => {
  vendor.fault = () => new Promise(() => undefined);
  const stop = new AbortController();
  const asked = readChannels(api, ['@TOA#_a'], stop.signal);
  await sleep(50);
  stop.abort(new Error('stopping'));
  await expect(asked).rejects.toThrow('stopping');
  expect(codes).toEqual([]);
});

describe('items', () => {
  const say = (items: unknown, more?: (ids: string[]) => unknown): void =>
    void (vendor.fault = ({ ids }) => succeeded({ OfficialAccountInfoList: ids.length > 1 || !more ? items : more(ids) }));

  test('without an id go by their place where the lengths agree', async () => {
    say([{ Name: 'a' }, { ErrorCode: 130004 }, { Official_Account: '@TOA#_b', Name: 'b' }]);
    expect(await kinds('@TOA#_x', '@TOA#_gone', '@TOA#_b')).toEqual(['found', 'gone', 'found']);
    expect(vendor.calls).toHaveLength(1);
  });

  test('without an id, and of another number: each channel alone', async () => {
    say([{ Name: 'b' }], ids => [{ Name: ids[0] }]);
    const readings = await read('@TOA#_a', '@TOA#_b');
    expect(readings.get('@TOA#_b')).toMatchObject({ fields: { name: '@TOA#_b' } });
    expect(vendor.calls.map(({ ids }) => ids)).toEqual([['@TOA#_a', '@TOA#_b'], ['@TOA#_a'], ['@TOA#_b']]);
  });

  test('whose place is that of another are not taken for it', async () => {
    say([{ Official_Account: '@TOA#_b', Name: 'b' }, { Name: 'a' }], () => [{ Name: 'a' }]);
    const readings = await read('@TOA#_a', '@TOA#_b');
    expect(readings.get('@TOA#_a')).toMatchObject({ fields: { name: 'a' } });
    expect(readings.get('@TOA#_b')).toMatchObject({ fields: { name: 'b' } });
    expect(vendor.calls).toHaveLength(2);
  });

  test('that are missing are gone, and that nobody asked for are nothing', async () => {
    say([
      { Official_Account: '@TOA#_b', Name: 'b' },
      { Official_Account: '@TOA#_b', Name: 'twice' },
      null,
      7,
      { Official_Account: '@TOA#_other' },
    ]);
    expect(await kinds('@TOA#_a', '@TOA#_b')).toEqual(['gone', 'found']);
  });

  test.each([undefined, null, {}, 'text'])('that are no list are none: %j', async list => {
    say(list);
    expect(await kinds('@TOA#_a')).toEqual(['gone']);
  });

  test('with a code: gone, malformed, or unknown, which is read once more', async () => {
    const of = (id: string, ErrorCode: unknown) => ({ Official_Account: id, ErrorCode });
    const first = [of('a', 10010), of('b', 130007), of('c', 99), of('d', '7'), { Official_Account: 'e', Name: 'e' }];
    vendor.fault = ({ ids }) => succeeded({ OfficialAccountInfoList: ids.length > 2 ? first : [of('c', 99), { Official_Account: 'd' }] });
    expect(await kinds('a', 'b', 'c', 'd', 'e')).toEqual([
      'gone',
      'Tencent answered 130007: the channel id is malformed',
      'Tencent answered 99',
      'found',
      'found',
    ]);
    expect(vendor.calls).toHaveLength(2);
  });

  test('fields that are null, no text or not there are not carried; others are ignored', async () => {
    say([{ Official_Account: 'a', Name: 7, FaceUrl: null, Introduction: 'x\0\ud800', New: { deep: [] } }]);
    expect((await read('a')).get('a')).toMatchObject({ fields: { introduction: 'x\ufffd\ufffd' }, owner: null });
  });
});

test.each([6017, 130004, 130007, 10010])('a call that %d refuses for its ids is made in halves', async code => {
  vendor.fault = ({ ids }) => (ids.some(id => id.startsWith('bad')) ? code : undefined);
  const ids = ['@TOA#_a', '@TOA#_b', 'bad 1', 'x', 'bad/2%'];
  const bad = code === 130004 || code === 10010 ? 'gone' : `Tencent answered ${code}: the channel id is malformed`;
  expect(await kinds(...ids)).toEqual(['found', 'found', bad, 'gone', bad]);
  expect(paced).toBe(vendor.calls.length);
});

test('the channels that a user is subscribed to, page by page', async () => {
  const all = Array.from({ length: 450 }, (_, index) => `@TOA#_${index}`);
  vendor.subscribed.set('everyone', all);
  const found: string[] = [];
  for (let offset: number | null = 0; offset !== null;) {
    const page: Awaited<ReturnType<typeof listSubscribed>> = await listSubscribed(api, 'everyone', offset, never);
    found.push(...page.ids);
    offset = page.next;
  }
  expect(found).toEqual(all);
  expect(vendor.calls).toHaveLength(3);
  expect(await refusal(listSubscribed(api, 'nobody', 0, never))).toMatchObject({ kind: 'stop', code: 70107 });
  vendor.fault = () =>
    succeeded({ OfficialAccountInfoList: [{ Official_Account: 7 }, {}, null, { Official_Account: ' ' }], CompleteFlag: 0, Next: 0 });
  expect(await refusal(listSubscribed(api, 'everyone', 0, never))).toMatchObject({ kind: 'stop', code: null });
  vendor.fault = () => failed(60008);
  expect(await refusal(listSubscribed(api, 'everyone', 0, never))).toMatchObject({ kind: 'retry' });
});
