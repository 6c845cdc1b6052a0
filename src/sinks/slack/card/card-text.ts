import { BlockList, isIP, isIPv6 } from 'node:net';

/** The most that is shown of one value: whole graphemes, and UTF-16 units, since one grapheme may be endless. */
const maxGraphemes = 300;
const maxUnits = 500;

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });

/**
 * Text from outside, made fit for one line of a message: no control or bidi-control characters, which could reorder or break up what stands
 * around it, no line breaks, and cut with an ellipsis. Empty if there is nothing to see in it.
 */
export function clean(text: string, graphemes = maxGraphemes): string {
  const line = toLine(text);
  return isVisible(line) ? cut(line, graphemes, Math.min(maxUnits, graphemes * 4)) : '';
}

/** Whether `clean` has to cut a text. */
export function isLong(text: string): boolean {
  const line = toLine(text);
  return isVisible(line) && clean(text) !== line;
}

/** As `clean`, with its line breaks, and as long as may be. */
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
  // A grapheme has one unit at least. Taking texts apart is what most of the time of a digest went into.
  if (line.length <= Math.min(graphemes, units)) return line;
  let kept = '';
  let short = '';
  let count = 0;
  // The rest is never shown, and taking megabytes of it apart would take long.
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

/** What marks become where they could format, or name an emoji: a sign that looks like it. */
const lookalikes: Record<string, string> = { '*': '\u2217', '~': '\u223c', '`': '\u02cb', _: '\u02cd', ':': '\u2236', '>': '\u203a' };

/**
 * A text made dead for a message's own `text`, which is mrkdwn to Slack where a message is edited: nothing in it mentions, links, formats or names an emoji. An
 * underscore can only close what it opened before something else than a letter or digit, so that ids mostly stay as they are; a word keeps its first colon alone,
 * since an emoji's name may have letters of any language.
 */
export function escape(text: string): string {
  return text
    .replace(/^>|[*~`]|(?<=\S)_(?![A-Za-z0-9])|(?<=:\S*?):/g, mark => lookalikes[mark]!)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

const privateIpv4 = ['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'];
const reservedIpv4 = [
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
];
/** Of IPv6 only 2000::/3 is given out; the last four are parts of it for documentation, Teredo and ORCHID, and 6to4. */
const reservedIpv6 = ['::/3', '4000::/2', '8000::/1', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

// A list for each, since IPv4 counts as a part of ::/3.
const notPublic = { ipv4: blockList([...privateIpv4, ...reservedIpv4], 'ipv4'), ipv6: blockList(reservedIpv6, 'ipv6') };

function blockList(subnets: string[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const [net = '', prefix] of subnets.map(subnet => subnet.split('/'))) list.addSubnet(net, Number(prefix), family);
  return list;
}

const privateName = /(^|\.)(localhost|local|localdomain|internal|intranet|private|corp|home|lan|arpa|test|invalid|example|onion)$/;

/**
 * An avatar's URL as Slack may be told it, or `null`. Slack fetches images while it handles the call and refuses the whole message if it
 * cannot, so what it cannot reach from outside is left out; so is user info, which would be shown to everybody.
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
