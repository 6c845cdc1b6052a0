import { unescape } from 'node:querystring';
import type { Proxies } from '../outgoing/proxies.js';
import { type SettingsClass, settingsOf } from './setting.js';

/** Shorter secrets would match in any text. */
const minSecretLength = 4;
/** For values that may not be secrets at all: parts of a URL, headers. */
const minValueLength = 8;
/** A path segment of this length may be a token. */
const minSegmentLength = 16;
const openHeaders = /^(accept|content-type|user-agent)$/i;

type Owners = readonly { settings: object }[];

/** All secrets in the settings, longest first. */
export function secretsOf(settings: { sinks: Owners; apps: Owners; proxies: Proxies; tracesUrl?: string | undefined }): string[] {
  const owners = [...settings.sinks, ...settings.apps].map(owner => owner.settings);
  const proxies = [settings.proxies.http, settings.proxies.https].flatMap(proxy => (proxy ? userInfoOf(proxy.url) : []));
  const traces = settings.tracesUrl === undefined ? [] : urlParts(new URL(settings.tracesUrl));
  const texts = new Set([...secretsIn(settings, ...owners), ...[...proxies, ...traces].filter(isLongEnough)]);
  return [...texts].sort((a, b) => b.length - a.length);
}

/** The secrets in settings objects, including the parts of URLs and headers that may be secret by themselves. */
export function secretsIn(...values: object[]): string[] {
  const texts = values.flatMap(settings => {
    const secrets = settingsOf(settings.constructor as SettingsClass).filter(({ secret }) => secret);
    return secrets.flatMap(({ property }) => textsIn(settings[property as keyof typeof settings]));
  });
  return texts.filter(isLongEnough);
}

function isLongEnough(secret: string): boolean {
  return secret.length >= minSecretLength;
}

function textsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsIn);
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([name, text]) => (openHeaders.test(name) ? [] : headerParts(String(text))));
  }
  if (typeof value !== 'string') return [];
  // Without a host: a database behind a Unix socket.
  const url = URL.parse(value) ?? URL.parse(value.replace('@/', '@socket/'));
  return [value, value.replace(/^whsec_/, ''), ...(url ? urlParts(url) : [])];
}

function userInfoOf({ username, password }: URL): string[] {
  return [username, password].flatMap(text => [text, unescape(text)]);
}

/** The parts of a URL that may be secret; for a database only the password. */
function urlParts(url: URL): string[] {
  if (!url.protocol.startsWith('http')) return [url.password, unescape(url.password), ...url.searchParams.getAll('password')];
  const query = url.search
    .slice(1)
    .split('&')
    .flatMap(pair => pair.slice(pair.indexOf('=') + 1).split(/%7B(?:%7B|%).*?(?:%7D|%)%7D|\{[{%].*?[%}]\}/i));
  const path = url.pathname.split('/').filter(segment => segment.length >= minSegmentLength && !/%7B/i.test(segment));
  const values = [...query, ...path].flatMap(text => [text, unescape(text), unescape(text.replaceAll('+', ' '))]);
  return [...userInfoOf(url), ...values.filter(text => text.length >= minValueLength)];
}

/** A header's value, also without its scheme such as `Bearer`; for `Basic` also the decoded credentials. */
function headerParts(value: string): string[] {
  const [, scheme = '', credentials = ''] = /^(\S+)\s+(.+)$/.exec(value) ?? [];
  const pair = /^basic$/i.test(scheme) ? Buffer.from(credentials, 'base64').toString() : '';
  return [value, credentials, pair, pair.slice(pair.indexOf(':') + 1)].filter(text => text.length >= minValueLength);
}
