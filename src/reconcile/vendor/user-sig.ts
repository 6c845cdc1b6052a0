import { createHmac } from 'node:crypto';
import { deflateSync } from 'node:zlib';

/** Lifetime of a UserSig; the vendor recommends at least a day (Tencent Cloud, product 1047, document 34620). */
export const userSigSeconds = 86_400;

/** Generates the UserSig of an account, like the vendor's package tls-sig-api-v2. @param key the app's secret key */
export function userSigOf(sdkAppId: string, identifier: string, key: string, nowMs: number): string {
  const time = Math.floor(nowMs / 1000);
  const signed = `TLS.identifier:${identifier}\nTLS.sdkappid:${sdkAppId}\nTLS.time:${time}\nTLS.expire:${userSigSeconds}\n`;
  const signature = createHmac('sha256', key).update(signed).digest('base64');
  // Built by hand because the id is a JSON number that may exceed JavaScript's precision.
  const document =
    `{"TLS.ver":"2.0","TLS.identifier":${JSON.stringify(identifier)},"TLS.sdkappid":${sdkAppId},` +
    `"TLS.time":${time},"TLS.expire":${userSigSeconds},"TLS.sig":"${signature}"}`;
  return deflateSync(document).toString('base64').replaceAll('+', '*').replaceAll('/', '-').replaceAll('=', '_');
}
