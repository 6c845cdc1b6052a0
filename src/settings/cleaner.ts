/** Removes secrets from a third-party text. @param more secrets beyond those of the settings @param maxLength longer texts are cut */
export type Clean = (text: string, more?: readonly string[], maxLength?: number) => string;

/** A decoded text with the range in the original, such as an escape sequence, that each character comes from. */
interface View {
  text: string;
  from: number[];
  to: number[];
  /** How often it was decoded. */
  depth: number;
}

/** Escape sequences and how to decode them; each pattern is a group. */
const decoders: [escapes: RegExp, meaning: (escape: string) => string][] = [
  [/((?:%[0-9a-f]{2})+)/i, run => Buffer.from(run.replaceAll('%', ''), 'hex').toString()],
  // Form encoding.
  [/(\+)/, () => ' '],
  [/(\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt]))/, escape => String(JSON.parse(`"${escape}"`))],
  // White space alone: a backslash before it may be the secret's own.
  [/(\\[fnrt])/, () => ' '],
  [/(&(?:#\d{1,6}|#x[0-9a-f]{1,5}|amp|lt|gt|quot|apos);)/i, entityMeaning],
];
const blanks: (typeof decoders)[0] = [/(\s+)/, () => ''];
/** Maximum number of nested encodings. */
const maxDepth = 3;
const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function entityMeaning(entity: string): string {
  const name = entity.slice(1, -1).toLowerCase();
  return named[name] ?? String.fromCodePoint(Number(name.replace('#x', '0x').replace('#', '')));
}

function decoded(view: View, [escapes, meaning]: (typeof decoders)[0]): View {
  const next: View = { text: '', from: [], to: [], depth: view.depth + 1 };
  let at = 0;
  // Every other part is an escape, since the pattern is a group.
  for (const [index, part] of view.text.split(escapes).entries()) {
    const isEscape = index % 2 === 1;
    const plain = isEscape ? meaning(part) : part;
    next.text += plain;
    for (let offset = 0; offset < plain.length; offset++) {
      next.from.push(view.from[isEscape ? at : at + offset]!);
      next.to.push(view.to[isEscape ? at + part.length - 1 : at + offset]!);
    }
    at += part.length;
  }
  return next;
}

/** The text itself and with its escapes decoded, in every order. */
function viewsOf(text: string): View[] {
  const places = Array.from({ length: text.length }, (_, index) => index);
  const views: View[] = [{ text, from: places, to: places.map(place => place + 1), depth: 0 }];
  const seen = new Set([text]);
  for (const view of views)
    for (const decoder of view.depth < maxDepth ? decoders : []) {
      const next = decoded(view, decoder);
      if (!seen.has(next.text)) views.push(next);
      seen.add(next.text);
    }
  return views;
}

/** Writings that may be found in base64: OAuth's Basic credentials are form-encoded, and a token may hold JSON. */
const writings: ((secret: string) => string)[] = [
  secret => secret,
  secret => encodeURIComponent(secret.toWellFormed()),
  secret => new URLSearchParams({ '': secret }).toString().slice(1),
  secret => JSON.stringify(secret).slice(1, -1),
];

/** The strings to search for: secrets, and their base64 at each of the three byte alignments. */
function needlesOf(secrets: readonly string[]) {
  const plain = [...new Set(secrets.map(secret => secret.replace(/\s+/g, '')))].filter(Boolean);
  const written = new Set(secrets.flatMap(secret => writings.map(write => write(secret))));
  const base64 = [...written].flatMap(text =>
    [0, 1, 2].map(before => {
      const whole = Buffer.from('.'.repeat(before) + text).toString('base64');
      return whole.slice(before === 0 ? 0 : before + 1, Math.floor(((before + Buffer.byteLength(text)) * 8) / 6));
    }),
  );
  return { plain, base64 };
}

/** The ranges in the original text where any needle occurs. */
function placesOf({ text, from, to }: View, needles: readonly string[]): [start: number, end: number][] {
  return needles.flatMap(needle => {
    const places: [number, number][] = [];
    for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1)) places.push([from[at]!, to[at + needle.length - 1]!]);
    return places;
  });
}

/** Extends a range to the whole base64 text around it. */
function widened(text: string, [start, end]: [number, number]): [number, number] {
  const isPart = (place: number): boolean => /[\w+/=-]/.test(text.charAt(place));
  while (start > 0 && isPart(start - 1)) start--;
  while (isPart(end)) end++;
  return [start, end];
}

/**
 * Returns a function that replaces secrets with `***`, whether plain, percent-encoded, JSON- or HTML-escaped, split by white space,
 * or in base64, also as part of a longer base64 text.
 * @param secrets must not be so short that they would match in any text
 */
export function cleaner(secrets: readonly string[]): Clean {
  const known = needlesOf(secrets);
  return (whole, more = [], maxLength = 4000) => {
    // Looks beyond the cut, to find secrets that the cut would split.
    const text = whole.slice(0, 2 * maxLength);
    const extra = needlesOf(more);
    const places = viewsOf(text).flatMap(view => {
      const plain = decoded(view, blanks);
      const base64 = { ...plain, text: plain.text.replaceAll('-', '+').replaceAll('_', '/') };
      const inBase64 = placesOf(base64, [...known.base64, ...extra.base64]).map(place => widened(text, place));
      return [...placesOf(plain, [...known.plain, ...extra.plain]), ...inBase64];
    });
    let [clean, done] = ['', 0];
    const shown = places.filter(([start]) => start < maxLength).sort(([a], [b]) => a - b);
    for (const [start, end] of shown) {
      if (start >= done) clean += `${text.slice(done, start)}***`;
      done = Math.max(done, end);
    }
    return clean + text.slice(done, maxLength);
  };
}
