import { isIP, isIPv6 } from 'node:net';

/** The proxy variables; lower case takes precedence, as in curl. */
export const proxyVariables = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY', 'no_proxy', 'NO_PROXY'];

export interface Proxy {
  /** The variable that sets it, for messages; the URL may contain secrets. */
  variable: string;
  url: URL;
  /** The Proxy-Authorization header; `null` if the URL has neither user nor password. */
  authorization: string | null;
}

/** The proxy for each scheme, and the exceptions. */
export interface Proxies {
  https: Proxy | null;
  http: Proxy | null;
  /** Domains, with their subdomains, that bypass the proxy; `*` means all. If a port is given, only that port. */
  direct: readonly { name: string; port: string | undefined }[];
}

/** The spelling of a proxy variable that counts, given its name in lower case; `undefined` if it is not set. */
export function proxyVariable(texts: ReadonlyMap<string, string>, name: string): string | undefined {
  return [name, name.toUpperCase()].find(spelling => texts.has(spelling));
}

/** Reads the proxy variables from trimmed texts by name; mistakes contain no value. */
export function proxiesFrom(texts: ReadonlyMap<string, string>): { proxies: Proxies; mistakes: string[] } {
  const mistakes: string[] = [];
  function proxy(name: string): Proxy | null {
    const variable = proxyVariable(texts, name);
    if (variable === undefined) return null;
    const text = texts.get(variable)!;
    // The parser of URLs would join the lines.
    const url = /[\r\n]/.test(text) ? null : URL.parse(text);
    try {
      if (url && /^https?:$/.test(url.protocol)) return { variable, url, authorization: authorizationOf(url) };
    } catch {
      // Invalid percent-encoding.
    }
    mistakes.push(`${variable} must be an http or https URL, such as http://proxy.example.com:3128, its user and password percent-encoded`);
    return null;
  }
  const entries = texts.get(proxyVariable(texts, 'no_proxy') ?? '')?.split(/[\s,]+/) ?? [];
  return { proxies: { https: proxy('https_proxy'), http: proxy('http_proxy'), direct: entries.filter(Boolean).map(directOf) }, mistakes };
}

function authorizationOf({ username, password }: URL): string | null {
  if (username === '' && password === '') return null;
  return `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`;
}

function directOf(entry: string): Proxies['direct'][number] {
  const [, text = '', port] = isIPv6(entry) ? [entry, `[${entry}]`] : (/^(?:\*?\.)?(.*?)\.?(?::(\d+))?$/.exec(entry) ?? []);
  // Normalized like the host of a URL: lower case, IPv6 in its short form.
  return { name: URL.parse(`http://${text}`)?.hostname ?? text, port };
}

/** The proxy for a URL; `null` for a direct connection. */
export function proxyFor({ protocol, hostname, port }: URL, { https, http, direct }: Proxies): Proxy | null {
  const secure = protocol === 'https:' || protocol === 'wss:';
  const host = hostname.replace(/\.$/, '');
  const isIn = (name: string): boolean => name === '*' || host === name || (isIP(host) === 0 && host.endsWith(`.${name}`));
  const there = port || (secure ? '443' : '80');
  return direct.some(entry => isIn(entry.name) && (entry.port ?? there) === there) ? null : secure ? https : http;
}
