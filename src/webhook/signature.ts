import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * Checks the vendor's source check: `Sign` is the hex SHA-256 of token + RequestTime as they stand, a plain hash and no HMAC
 * (Tencent Cloud, product 1047, document 34354). Compared in constant time; any token may match.
 * @param tokens the current token and, while rotating, the previous
 * @param nowMs milliseconds; `windowSeconds` is allowed both ways, its edges are inside
 */
export function signatureMatches(
  sign: unknown,
  requestTime: unknown,
  tokens: readonly string[],
  nowMs: number,
  windowSeconds: number,
): boolean {
  if (typeof sign !== 'string' || !/^[0-9a-fA-F]{64}$/.test(sign)) return false;
  if (typeof requestTime !== 'string' || !/^\d{10}$/.test(requestTime)) return false;
  if (Math.abs(Math.floor(nowMs / 1000) - Number(requestTime)) > windowSeconds) return false;
  const given = Buffer.from(sign, 'hex');
  let matched = false;
  for (const token of tokens) {
    const expected = createHash('sha256')
      .update(token + requestTime)
      .digest();
    // Every token is compared, so that the time does not tell which one matched.
    if (timingSafeEqual(given, expected)) matched = true;
  }
  return matched;
}
