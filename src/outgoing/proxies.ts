import { isIP, isIPv6 } from 'node:net';

/** The variables that are read; of two spellings the lower-case one counts, as with curl. */
export const proxyVariables = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY', 'no_proxy', 'NO_PROXY'];

export interface Proxy {
  /** The variable that names it, which advice may repeat; the URL holds secrets. */
  variable: string;
  url: URL;
  /** The value of Proxy-Authorization; `null` if the URL has no user and no password. */
  authorization: string | null;
}

/** Which targets are reached through which proxy. */
export interface Proxies {
  https: Proxy | null;
  http: Proxy | null;
  /** Names that are reached without one, and everything below them; `*` is all. With a port, there alone. */
  direct: readonly { name: string; port: string | undefined }[];
}

/**
 * Reads the proxy variables.
 * @param texts what is set, by name, trimmed
 * @returns the mistakes, by variable and without any value
 */
export function proxiesFrom(texts: ReadonlyMap<string, string>): { proxies: Proxies; mistakes: string[] } {
  const mistakes: string[] = [];
  const given = (name: string): string | undefined => [name, name.toUpperCase()].find(one => texts.has(one));
  function proxy(name: string): Proxy | null {
    const variable = given(name);
    if (variable === undefined) return null;
    const url = URL.parse(texts.get(variable)!);
    try {
      if (url && /^https?:$/.test(url.protocol)) return { variable, url, authorization: authorizationOf(url) };
    } catch {
      // What is percent-encoded cannot be read.
    }
    mistakes.push(`${variable} must be an http or https URL, such as http://proxy.example.com:3128, its user and password percent-encoded`);
    return null;
  }
  const entries = texts.get(given('no_proxy') ?? '')?.split(/[\s,]+/) ?? [];
  return { proxies: { https: proxy('https_proxy'), http: proxy('http_proxy'), direct: entries.filter(Boolean).map(directOf) }, mistakes };
}

function authorizationOf({ username, password }: URL): string | null {
  if (username === '' && password === '') return null;
  return `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`;
}

function directOf(entry: string): Proxies['direct'][number] {
  const [, text = '', port] = isIPv6(entry) ? [entry, `[${entry}]`] : (/^(?:\*?\.)?(.*?)\.?(?::(\d+))?$/.exec(entry) ?? []);
  // As the host of a URL is spelled: lower case, IPv6 in its short form.
  return { name: URL.parse(`http://${text}`)?.hostname ?? text, port };
}

/** The proxy for a URL; `null` if it is reached without. */
export function proxyFor({ protocol, hostname, port }: URL, { https, http, direct }: Proxies): Proxy | null {
  const secure = protocol === 'https:' || protocol === 'wss:';
  const host = hostname.replace(/\.$/, '');
  const isIn = (name: string): boolean => name === '*' || host === name || (isIP(host) === 0 && host.endsWith(`.${name}`));
  const there = port || (secure ? '443' : '80');
  return direct.some(one => isIn(one.name) && (one.port ?? there) === there) ? null : secure ? https : http;
}
