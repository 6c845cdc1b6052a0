import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { sameSecret } from '../api/bearer.js';

const linkValidityMs = 3_600_000;

/** The query parameters of a link. */
export interface PageLink {
  /** When the link expires, in seconds since 1970. */
  until?: string;
  key?: string;
}

/** A link to the page of a change that grants access for an hour, without a password. */
export function linkTo(publicUrl: string, changeId: string, language: string, token: string, now: number): string {
  const until = String(Math.floor((now + linkValidityMs) / 1000));
  const query = new URLSearchParams({ lang: language, until, key: keyFor(changeId, until, token).toString('base64url') });
  return `${publicUrl.replace(/\/+$/, '')}/changes/${changeId}?${query.toString()}`;
}

/** Whether the link was issued for this change and has not expired. */
export function isGoodLink({ until, key }: PageLink, changeId: string, token: string, now: number): boolean {
  if (typeof until !== 'string' || typeof key !== 'string' || !/^\d{10}$/.test(until) || !/^[\w-]{43}$/.test(key)) return false;
  return Number(until) * 1000 > now && timingSafeEqual(Buffer.from(key, 'base64url'), keyFor(changeId, until, token));
}

/** Whether the header has Basic credentials with the token as the password, of any user. */
export function hasPassword(authorization: string | undefined, token: string): boolean {
  const [, encoded] = /^basic +([\w+/=-]+)$/i.exec(authorization ?? '') ?? [];
  const [, password] = /^[^:]*:(.*)$/s.exec(Buffer.from(encoded ?? '', 'base64').toString()) ?? [];
  return password !== undefined && sameSecret(Buffer.from(password), Buffer.from(token));
}

/** Derived from the token, so that it is valid on all replicas until the token changes, and does not reveal the token. */
function keyFor(changeId: string, until: string, token: string): Buffer {
  const secret = Buffer.from(hkdfSync('sha256', token, '', 'channel-sync: link to the page of a change', 32));
  return createHmac('sha256', secret).update(`${changeId} ${until}`).digest();
}
