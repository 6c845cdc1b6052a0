import { createHash, timingSafeEqual } from 'node:crypto';

/** Why a webhook is not let in, and how far its RequestTime was ahead of our clock; `null` where it was none. */
export interface SignatureFault {
  cause: 'unsigned' | 'clock' | 'signature';
  secondsAhead: number | null;
}

/**
 * Checks the vendor's source check: `Sign` is the hex SHA-256 of token + RequestTime as they stand, a plain hash and no HMAC
 * (Tencent Cloud, product 1047, document 34354). Compared in constant time; any token may match.
 * @param tokens the current token and, while rotating, the previous
 * @param nowMs milliseconds; `windowSeconds` is allowed both ways, its edges are inside
 * @returns `null` if it is the vendor's
 */
export function signatureFault(
  sign: unknown,
  requestTime: unknown,
  tokens: readonly string[],
  nowMs: number,
  windowSeconds: number,
): SignatureFault | null {
  const isTime = typeof requestTime === 'string' && /^\d{10}$/.test(requestTime);
  const secondsAhead = isTime ? Number(requestTime) - Math.floor(nowMs / 1000) : null;
  if (sign === undefined || sign === '') return { cause: 'unsigned', secondsAhead };
  if (secondsAhead === null || typeof sign !== 'string' || !/^[0-9a-fA-F]{64}$/.test(sign)) return { cause: 'signature', secondsAhead };
  if (Math.abs(secondsAhead) > windowSeconds) return { cause: 'clock', secondsAhead };
  const given = Buffer.from(sign, 'hex');
  let matched = false;
  for (const token of tokens) {
    const expected = createHash('sha256')
      .update(`${token}${String(requestTime)}`)
      .digest();
    // Every token is compared, so that the time does not tell which one matched.
    if (timingSafeEqual(given, expected)) matched = true;
  }
  return matched ? null : { cause: 'signature', secondsAhead };
}
