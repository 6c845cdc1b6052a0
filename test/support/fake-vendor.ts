import { createHmac } from 'node:crypto';
import { inflateSync } from 'node:zlib';
import { type Answer, type FakeServer, fakeServer } from './fake-server.ts';

/** A channel as the vendor's API tells of it. */
export interface VendorChannel {
  Name?: string | null;
  FaceUrl?: string | null;
  Introduction?: string | null;
  Organization?: string | null;
  Owner_Account?: string;
  [field: string]: unknown;
}

export interface VendorCall {
  command: string;
  body: Record<string, unknown>;
  /** The ids that it asks for. */
  ids: string[];
  /** When it came, by the monotonic clock. */
  at: number;
  userSig: string;
}

/** Says something else than the documentation does: an answer, a code for the whole call, or nothing for the usual one. */
export type VendorFault = (call: VendorCall) => Answer | number | undefined | Promise<Answer | number | undefined>;

export interface FakeVendor extends FakeServer {
  appId: string;
  key: string;
  channels: Map<string, VendorChannel>;
  /** Channels that each user is subscribed to. */
  subscribed: Map<string, string[]>;
  calls: VendorCall[];
  fault: VendorFault | null;
  /** The variables that make the service read from it. */
  environment: Record<string, string>;
}

const [listed, most] = [['Name', 'FaceUrl', 'Introduction', 'Organization', 'Owner_Account', 'CreateTime', 'CustomString'], 50];

/** The REST API of official channels, made after the vendor's documentation; it checks UserSigs by code of its own. Imports nothing of the service: it runs natively, too. */
export async function fakeVendor(appId = '1400000001', key = 'planted5ecret-mark-secret-key'): Promise<FakeVendor> {
  const vendor = {
    appId,
    key,
    channels: new Map<string, VendorChannel>(),
    subscribed: new Map<string, string[]>(),
    calls: [] as VendorCall[],
    fault: null as VendorFault | null,
  };
  const server = await fakeServer(async ({ method, path, body, headers }) => {
    const url = new URL(path, 'http://vendor');
    const [, version, service, command = ''] = url.pathname.split('/');
    const query = url.searchParams;
    const random = query.get('random') ?? '';
    if (method !== 'POST' || version !== 'v4' || service !== 'official_account_open_http_svc') return { status: 404, body: 'no such page' };
    if (query.get('contenttype') !== 'json' || !/^\d{1,10}$/.test(random) || Number(random) > 4_294_967_295) return failed(60002);
    if (query.get('sdkappid') !== appId) return failed(60006);
    const userSig = query.get('usersig') ?? '';
    const call: VendorCall = { command, body: parsed(body), ids: [], at: performance.now(), userSig };
    call.ids = namesIn(call.body['OfficialAccountIdList']);
    vendor.calls.push(call);
    const said = await vendor.fault?.(call);
    if (typeof said === 'number') return failed(said);
    if (said !== undefined) return said;
    const code = userSigFault(userSig, query.get('identifier') ?? '', appId, vendor.key);
    if (code !== null) return failed(code);
    if (headers['content-type']?.includes('json') !== true || body === '') return failed(60003);
    if (command === 'get_official_account_info') return infos(vendor.channels, call);
    if (command === 'get_subscribed_official_account_list') return subscriptions(vendor.subscribed, call.body);
    return failed(60009);
  });
  const environment = { [`APP_${appId}_SECRET_KEY`]: key, [`APP_${appId}_REST_URL`]: server.url };
  return Object.assign(vendor, server, { environment });
}

function infos(channels: Map<string, VendorChannel>, { body, ids }: VendorCall): Answer {
  if (ids.length === 0 || ids.length > most) return failed(6017);
  const filter =
    (body['ResponseFilter'] as { OfficialAccountBaseInfoFilter?: string[] } | undefined)?.OfficialAccountBaseInfoFilter ?? listed;
  const items = ids.map(id => {
    const channel = channels.get(id);
    if (!channel) return { Official_Account: id, ErrorCode: 130004, ErrorInfo: 'not there' };
    const fields = Object.entries(channel).filter(([name]) => filter.includes(name) || !listed.includes(name));
    return { Official_Account: id, ErrorCode: 0, ErrorInfo: '', ...Object.fromEntries(fields) };
  });
  return succeeded({ OfficialAccountInfoList: items });
}

function subscriptions(subscribed: Map<string, string[]>, body: Record<string, unknown>): Answer {
  const all = subscribed.get(String(body['Subscriber_Account']));
  const [limit, offset] = [Number(body['Limit'] ?? 200), Number(body['Offset'] ?? 0)];
  if (!all) return failed(70107);
  if (limit > 200) return failed(6017);
  const page = all.slice(offset, offset + limit).map(id => ({ Official_Account: id, SubscribeTime: 1 }));
  const complete = offset + limit >= all.length;
  return succeeded({ OfficialAccountInfoList: page, TotalCount: all.length, CompleteFlag: Number(complete), Next: offset + page.length });
}

function namesIn(list: unknown): string[] {
  return Array.isArray(list) ? list.map((one: { Official_Account?: unknown }) => String(one.Official_Account)) : [];
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

export function succeeded(fields: object): Answer {
  return { body: { ActionStatus: 'OK', ErrorInfo: '', ErrorCode: 0, RequestId: 'a-request', ...fields } };
}

export function failed(code: number): Answer {
  return { body: { ActionStatus: 'FAIL', ErrorInfo: `code ${code}`, ErrorCode: code, RequestId: 'a-request' } };
}

/** What is wrong with a UserSig, as a code of the vendor's; `null` if it is good. */
export function userSigFault(userSig: string, identifier: string, appId: string, key: string): number | null {
  let text: string;
  try {
    text = inflateSync(Buffer.from(userSig.replaceAll('*', '+').replaceAll('-', '/').replaceAll('_', '='), 'base64')).toString();
  } catch {
    return 70003;
  }
  const document = parsed(text);
  const { 'TLS.identifier': signedId, 'TLS.time': time, 'TLS.expire': seconds, 'TLS.sig': signature, 'TLS.ver': version } = document;
  const signedApp = /"TLS\.sdkappid":(\d+)/.exec(text)?.[1];
  if (version !== '2.0' || signedApp !== appId) return 70014;
  if (signedId !== identifier) return 70013;
  const lines = [
    `TLS.identifier:${String(signedId)}`,
    `TLS.sdkappid:${appId}`,
    `TLS.time:${String(time)}`,
    `TLS.expire:${String(seconds)}`,
  ];
  const expected = createHmac('sha256', key)
    .update(`${lines.join('\n')}\n`)
    .digest('base64');
  if (signature !== expected) return 70009;
  return Number(time) + Number(seconds) < Date.now() / 1000 ? 70001 : null;
}
