import { type Explanation, inEnglish } from '../../explanations/explanation.js';

/** How to handle a code: `retry` is temporary, `stop` needs a person, `ids` concerns only the requested channels. */
type Kind = 'retry' | 'stop' | 'ids';

export interface When {
  /** The time as of which an answer is valid (ms), by the earlier of our clock and the vendor's. */
  at: number;
  /** How far the vendor's clock is behind ours. */
  behindMs: number;
}

/** A failed call. Its texts contain no secret and nothing from the request. */
export class VendorError extends Error {
  /** Set if the vendor answered with an error code. */
  when: When | null = null;

  /** @param code the vendor's error code, if it answered @param waitMs minimum delay before the next call */
  constructor(
    readonly kind: Kind,
    readonly why: Explanation,
    readonly advice: Explanation,
    readonly code: number | null = null,
    readonly waitMs = 0,
  ) {
    super(inEnglish(why));
  }
}

/** Codes for a channel that does not exist, and for a malformed id. */
export const goneCodes: readonly number[] = [130004, 10010];
export const malformedCodes: readonly number[] = [130007, 6017];

/** All known codes; `app` is the prefix of the app's variables (Tencent Cloud, product 1047, documents 34620 and 60756). */
const meanings = (
  app: string,
): readonly [codes: readonly number[], kind: Kind, what: Explanation, advice: Explanation, waitMs?: number][] => [
  [goneCodes, 'ids', ['vendor_no_channel'], ['vendor_check_id']],
  [malformedCodes, 'ids', ['vendor_bad_id'], ['vendor_check_id']],
  [[60002, 60003, 60009, 60012, 20001], 'stop', ['vendor_bad_request'], ['vendor_check_request', app]],
  [[60004, 60005, 60015], 'stop', ['vendor_signature'], ['vendor_check_key', app]],
  [[60006, 60016, 60017], 'stop', ['vendor_app'], ['vendor_check_app', app]],
  [[60007, 60011, 60018, 60019], 'retry', ['vendor_rate'], ['vendor_lower_rate']],
  [[60008, 60013, 60014, 70169, 10004, 20005], 'retry', ['vendor_internal'], ['vendor_wait']],
  [[60010, 130002], 'stop', ['vendor_no_admin'], ['vendor_set_admin', app]],
  [[60020], 'stop', ['vendor_plan'], ['vendor_renew']],
  [[60021], 'stop', ['vendor_address'], ['vendor_allow']],
  [[70001], 'stop', ['vendor_expired'], ['vendor_check_clock']],
  [[70003, 70009, 70013, 70014, 70016, 70020], 'stop', ['vendor_user_sig'], ['vendor_check_user_sig', app]],
  [[70050], 'retry', ['vendor_too_often'], ['vendor_wait_minute', app], 60_000],
  [[70107], 'stop', ['vendor_no_account'], ['vendor_import_account', app]],
  [[131000], 'stop', ['vendor_not_enabled'], ['vendor_enable']],
];

/** Maps a code to an error with advice for this app. */
export function errorOf(code: number, sdkAppId: string): VendorError {
  const [, kind, what, advice, waitMs] = meanings(variablesOf(sdkAppId)).find(([codes]) => codes.includes(code)) ?? [];
  if (!kind) return new VendorError('retry', ['vendor_answered', code], ['vendor_look_up'], code);
  return new VendorError(kind, ['vendor_said', code, what!], advice!, code, waitMs);
}

export function outageError(why: Explanation, sdkAppId: string): VendorError {
  return new VendorError('retry', why, ['vendor_url_or_way', variablesOf(sdkAppId)]);
}

export function variablesOf(sdkAppId: string): string {
  return `APP_${sdkAppId}`;
}
