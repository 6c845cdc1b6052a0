import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { sameSecret } from '../api/bearer.js';

/** How long a link lets one in. */
const goodForMs = 3_600_000;

/** The page's address, and the words of a link to it. */
export interface PageLink {
  /** Until when it is good, in seconds. */
  until?: string;
  key?: string;
}

/** A link to the page of a change that lets in who has it, for an hour. @param language of the page */
export function linkTo(publicUrl: string, changeId: string, language: string, token: string, now: number): string {
  const until = String(Math.floor((now + goodForMs) / 1000));
  const query = new URLSearchParams({ lang: language, until, key: keyFor(changeId, until, token).toString('base64url') });
  return `${publicUrl.replace(/\/+$/, '')}/changes/${changeId}?${query.toString()}`;
}

/** Whether this is a link that we made for this change, and still good. */
export function isGoodLink({ until, key }: PageLink, changeId: string, token: string, now: number): boolean {
  if (typeof until !== 'string' || typeof key !== 'string' || !/^\d{10}$/.test(until) || !/^[\w-]{43}$/.test(key)) return false;
  return Number(until) * 1000 > now && timingSafeEqual(Buffer.from(key, 'base64url'), keyFor(changeId, until, token));
}

/** Whether a header has the token as the password of any user. */
export function hasPassword(authorization: string | undefined, token: string): boolean {
  const [, encoded] = /^basic +([\w+/=-]+)$/i.exec(authorization ?? '') ?? [];
  const [, password] = /^[^:]*:(.*)$/s.exec(Buffer.from(encoded ?? '', 'base64').toString()) ?? [];
  return password !== undefined && sameSecret(Buffer.from(password), Buffer.from(token));
}

/** Out of the token, so that it holds at all replicas and ends with it; and of no use to learn the token. */
function keyFor(changeId: string, until: string, token: string): Buffer {
  const secret = Buffer.from(hkdfSync('sha256', token, '', 'channel-sync: link to the page of a change', 32));
  return createHmac('sha256', secret).update(`${changeId} ${until}`).digest();
}
