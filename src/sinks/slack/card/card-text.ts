import { BlockList, isIP, isIPv6 } from 'node:net';

/** Limits for one value, in graphemes and in UTF-16 units, because a single grapheme can be arbitrarily long. */
const maxGraphemes = 300;
const maxUnits = 500;

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });

/**
 * Makes external text safe for one line of a message: removes line breaks and control and bidi-control characters, which could reorder or
 * break up the text around it, and truncates it with an ellipsis. Empty if nothing in it is visible.
 */
export function clean(text: string, graphemes = maxGraphemes): string {
  const line = toLine(text);
  return isVisible(line) ? cut(line, graphemes, Math.min(maxUnits, graphemes * 4)) : '';
}

/** Whether `clean` truncates a text. */
export function isLong(text: string): boolean {
  const line = toLine(text);
  return isVisible(line) && clean(text) !== line;
}

/** Like `clean`, but keeps line breaks and limits only UTF-16 units. */
export function cleanLines(text: string, units: number): string {
  return cut(toLines(text), Infinity, units);
}

function toLines(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n?|[\v\f\u0085\u2028\u2029]/g, '\n')
    .replace(/\t/g, ' ')
    .replace(/(?!\n)[\p{Cc}\p{Bidi_Control}]/gu, '')
    .trim();
}

function toLine(text: string): string {
  return toLines(text).replace(/[\n ]+/g, ' ');
}

function isVisible(line: string): boolean {
  return /[^\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cn}\p{Co}]/u.test(line);
}

function cut(line: string, graphemes: number, units: number): string {
  // A grapheme has at least one unit, so the text fits. Skips segmentation, which dominated the time to render a digest.
  if (line.length <= Math.min(graphemes, units)) return line;
  let kept = '';
  let short = '';
  let count = 0;
  // The rest is never shown, and segmenting megabytes of it would take long.
  for (const { segment } of segmenter.segment(line.slice(0, units * 4))) {
    if (count === graphemes || kept.length + segment.length > units) {
      return `${(short || line.slice(0, units - 1).replace(/[\uD800-\uDBFF]$/, '')).trimEnd()}…`;
    }
    kept += segment;
    count += 1;
    if (count < graphemes && kept.length < units) short = kept;
  }
  return kept;
}

/** Similar characters to replace those that could format text or name an emoji. */
const lookalikes: Record<string, string> = { '*': '\u2217', '~': '\u223c', '`': '\u02cb', _: '\u02cd', ':': '\u2236', '>': '\u203a' };

/**
 * Escapes a text for a message's own `text`, which Slack treats as mrkdwn in edits: nothing in it mentions, links, formats or names an
 * emoji. An underscore is replaced only where it could close italics, so most ids stay as they are. Only the first colon of a word is kept,
 * because the name of an emoji may contain letters of any language.
 */
export function escape(text: string): string {
  return text
    .replace(/^>|[*~`]|(?<=\S)_(?![A-Za-z0-9])|(?<=:\S*?):/g, mark => lookalikes[mark]!)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

const privateIpv4 = ['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'];
const documentationIpv4 = ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24'];
const reservedIpv4 = [...documentationIpv4, '192.0.0.0/24', '192.88.99.0/24', '198.18.0.0/15', '224.0.0.0/3'];
/** Only 2000::/3 of IPv6 is allocated; the last four are ranges in it for documentation, Teredo and ORCHID, and 6to4. */
const reservedIpv6 = ['::/3', '4000::/2', '8000::/1', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

// One list per family, because IPv4 counts as a part of ::/3.
const notPublic = { ipv4: blockList([...privateIpv4, ...reservedIpv4], 'ipv4'), ipv6: blockList(reservedIpv6, 'ipv6') };

function blockList(subnets: string[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const [net = '', prefix] of subnets.map(subnet => subnet.split('/'))) list.addSubnet(net, Number(prefix), family);
  return list;
}

const privateName = /\.(local|internal|localhost)$/;

/**
 * An avatar URL that Slack may be given, or `null`. Slack fetches images during the call and refuses the whole message if it cannot, so
 * hosts that it cannot reach from outside are left out; so is user info, which everyone would see.
 */
export function publicImageUrl(text: string | null): string | null {
  if (text === null || text.length > 3000 || !URL.canParse(text)) return null;
  const { protocol, username, password, hostname, href } = new URL(text);
  if ((protocol !== 'http:' && protocol !== 'https:') || username !== '' || password !== '' || href.length > 3000) return null;
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.+$/, '');
  if (isIP(host)) {
    const family = isIPv6(host) ? 'ipv6' : 'ipv4';
    return notPublic[family].check(host, family) ? null : href;
  }
  return host.includes('.') && !privateName.test(host) ? href : null;
}
