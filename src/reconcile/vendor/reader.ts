import type { Explanation } from '../../explanations/explanation.js';
import { fieldsIn, isChannelId, shortText } from '../../channel/origin.js';
import { type FieldName, vendorNames } from '../../channel/profile.js';
import { type VendorApi, isObject } from './api.js';
import { VendorError, type When, goneCodes, malformedCodes } from './error.js';

export const idsPerCall = 50;
const listedPerCall = 200;

export type Reading = When &
  (
    | { kind: 'found'; fields: Partial<Record<FieldName, string>>; owner: string | null }
    | { kind: 'gone' }
    | { kind: 'failed'; why: Explanation }
  );

const filter = { OfficialAccountBaseInfoFilter: [...Object.values(vendorNames), 'Owner_Account'] };

/** Reads up to 50 channels. A call that is rejected because of its ids is repeated in halves. @throws VendorError if the API fails */
export async function readChannels(
  api: VendorApi,
  ids: readonly string[],
  signal: AbortSignal,
  again = true,
): Promise<Map<string, Reading>> {
  const body = { OfficialAccountIdList: ids.map(id => ({ Official_Account: id })), ResponseFilter: filter };
  const read = (part: readonly string[], more: boolean) => readChannels(api, part, signal, more);
  let answer: Awaited<ReturnType<VendorApi['call']>>;
  try {
    answer = await api.call('get_official_account_info', body, signal);
  } catch (error) {
    if (!(error instanceof VendorError) || error.kind !== 'ids') throw error;
    const middle = ids.length >> 1;
    if (middle > 0) return new Map([...(await read(ids.slice(0, middle), again)), ...(await read(ids.slice(middle), again))]);
    return new Map([[ids[0]!, verdict(error.code!, error.when!)!]]);
  }
  const { when } = answer;
  const { OfficialAccountInfoList: list } = answer.body;
  const { matched, unclear } = match(ids, Array.isArray(list) ? list : []);
  const readings = new Map<string, Reading>();
  const failed: string[] = [];
  for (const id of ids) {
    if (unclear.has(id)) continue;
    const item = matched.get(id);
    const code = item === undefined ? goneCodes[0] : (item['ErrorCode'] ?? 0);
    if (code === 0) readings.set(id, { kind: 'found', ...when, fields: fieldsIn(item!), owner: shortText(item!['Owner_Account']) });
    else if (typeof code === 'number' && verdict(code, when)) readings.set(id, verdict(code, when)!);
    else if (again) failed.push(id);
    else readings.set(id, { kind: 'failed', ...when, why: typeof code === 'number' ? ['vendor_answered', code] : ['vendor_no_code'] });
  }
  const rest = failed.length > 0 ? [...(await read(failed, false))] : [];
  for (const id of unclear) {
    if (ids.length > 1) rest.push(...(await read([id], again)));
    else readings.set(id, { kind: 'failed', ...when, why: ['channel_unclear'] });
  }
  return new Map([...readings, ...rest]);
}

/** Assigns items to ids: by the item's id, or by position if it has none; `unclear` are the ids for which neither works. */
function match(ids: readonly string[], list: readonly unknown[]): { matched: Map<string, Record<string, unknown>>; unclear: Set<string> } {
  const matched = new Map<string, Record<string, unknown>>();
  const nameless: [index: number, item: Record<string, unknown>][] = [];
  for (const [index, item] of list.entries()) {
    if (!isObject(item)) continue;
    const id = item['Official_Account'];
    if (typeof id !== 'string' || id === '') nameless.push([index, item]);
    else if (ids.includes(id) && !matched.has(id)) matched.set(id, item);
  }
  const missing = new Set(ids.filter(id => !matched.has(id)));
  const fits = list.length === ids.length && nameless.every(([index]) => missing.has(ids[index]!));
  if (nameless.length > 0 && !fits) return { matched, unclear: missing };
  for (const [index, item] of nameless) matched.set(ids[index]!, item);
  return { matched, unclear: new Set() };
}

/** Maps a channel's code to a reading; `undefined` for an unknown code. */
function verdict(code: number, when: When): Reading | undefined {
  if (goneCodes.includes(code)) return { kind: 'gone', ...when };
  return malformedCodes.includes(code) ? { kind: 'failed', ...when, why: ['vendor_said', code, ['vendor_bad_id']] } : undefined;
}

/** Lists a page of a user's subscribed channels; `next` is the next offset, `null` at the end (document 60763). @throws VendorError */
export async function listSubscribed(api: VendorApi, user: string, offset: number, signal: AbortSignal) {
  const body = { Subscriber_Account: user, Limit: listedPerCall, Offset: offset };
  const { body: answer } = await api.call('get_subscribed_official_account_list', body, signal);
  const { OfficialAccountInfoList: list, CompleteFlag: complete, Next: next } = answer;
  const ids = (Array.isArray(list) ? list : []).flatMap((item: unknown) => {
    const id = isObject(item) ? item['Official_Account'] : undefined;
    return isChannelId(id) ? [id] : [];
  });
  if (complete === 1) return { ids, next: null };
  if (typeof next !== 'number' || !Number.isSafeInteger(next) || next <= offset)
    throw new VendorError('stop', ['vendor_list_stuck'], ['vendor_list_again']);
  return { ids, next };
}
