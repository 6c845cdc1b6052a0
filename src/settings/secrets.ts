import { unescape } from 'node:querystring';
import type { Proxies } from '../outgoing/proxies.js';
import { type SettingsClass, settingsOf } from './setting.js';

/** Shorter ones would be found in every text. */
const shortest = 4;
/** In values that need not be secrets at all: parts of a URL, headers. */
const shortestValue = 8;
/** A part of a path that is as long as this may be a token. */
const shortestSegment = 16;
const openHeaders = /^(accept|content-type|user-agent)$/i;

type Owners = readonly { settings: object }[];

/** Every secret text that the settings hold, the longest first. */
export function secretsOf(settings: { sinks: Owners; apps: Owners; proxies: Proxies }): string[] {
  const proxies = [settings.proxies.http, settings.proxies.https].flatMap(proxy => (proxy ? userInfoOf(proxy.url) : []));
  return inOrder([...secretsIn(settings, ...[...settings.sinks, ...settings.apps].map(one => one.settings)), ...proxies]);
}

/** The secret texts of objects whose properties are settings; of URLs and headers also what may be one by itself. */
export function secretsIn(...values: object[]): string[] {
  const texts = values.flatMap(one =>
    settingsOf(one.constructor as SettingsClass).flatMap(({ property, secret }) =>
      secret ? textsIn(one[property as keyof typeof one]) : [],
    ),
  );
  return inOrder(texts);
}

function inOrder(texts: readonly string[]): string[] {
  return [...new Set(texts)].filter(text => text.length >= shortest).sort((one, other) => other.length - one.length);
}

function textsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsIn);
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([name, text]) => (openHeaders.test(name) ? [] : headerParts(String(text))));
  }
  if (typeof value !== 'string') return [];
  const url = URL.parse(value);
  return [value, ...(url ? urlParts(url) : []), ...(value.startsWith('whsec_') ? [value.slice('whsec_'.length)] : [])];
}

function userInfoOf({ username, password }: URL): string[] {
  return [username, password].flatMap(text => [text, unescape(text)]);
}

/** Of a URL of a database the password alone: its user and its name are no secrets. */
function urlParts(url: URL): string[] {
  if (!url.protocol.startsWith('http')) return [url.password, unescape(url.password)];
  const query = url.search
    .slice(1)
    .split('&')
    .flatMap(pair => pair.slice(pair.indexOf('=') + 1).split(/%7B(?:%7B|%).*?(?:%7D|%)%7D|\{[{%].*?[%}]\}/i));
  const path = url.pathname.split('/').filter(segment => segment.length >= shortestSegment && !/%7B/i.test(segment));
  const values = [...query, ...path].flatMap(text => [text, unescape(text), unescape(text.replaceAll('+', ' '))]);
  return [...userInfoOf(url), ...values.filter(text => text.length >= shortestValue)];
}

/** A value, without the word for how it is used, such as `Bearer`; and what `Basic` holds. */
function headerParts(value: string): string[] {
  const [, scheme, credentials] = /^(\S+)\s+(.+)$/.exec(value) ?? [];
  const parts = [value, ...(credentials === undefined ? [] : [credentials])];
  if (scheme?.toLowerCase() === 'basic') {
    const pair = Buffer.from(credentials!, 'base64').toString();
    parts.push(pair, pair.slice(pair.indexOf(':') + 1));
  }
  return parts.filter(text => text.length >= shortestValue);
}
