/** Takes secrets out of a text that somebody else wrote. @param more secrets that no setting holds @param most of a longer text only so many characters are left */
export type Clean = (text: string, more?: readonly string[], most?: number) => string;

/** A text with each of its characters' place in the original, which may be an escape of several characters. */
interface View {
  text: string;
  from: number[];
  to: number[];
}

/** What escapes stand for; each pattern is global. */
const decoders: [escapes: RegExp, meaning: (escape: string) => string][] = [
  [/(?:%[0-9a-f]{2})+/gi, run => Buffer.from(run.replaceAll('%', ''), 'hex').toString()],
  // Of a form.
  [/\+/g, () => ' '],
  [/\\(?:u[0-9a-f]{4}|["\\/bfnrt])/gi, escape => String(JSON.parse(`"${escape.replace('\\U', '\\u')}"`))],
  [/&(?:#\d{1,6}|#x[0-9a-f]{1,5}|amp|lt|gt|quot|apos);/gi, entityMeaning],
];
const blanks: (typeof decoders)[0] = [/\s+/g, () => ''];
/** So many escapes within each other are undone. */
const deepest = 3;
const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function entityMeaning(entity: string): string {
  const name = entity.slice(1, -1).toLowerCase();
  return named[name] ?? String.fromCodePoint(Number(name.replace('#x', '0x').replace('#', '')));
}

/** The text with what a decoder finds replaced by its meaning. */
function decoded(view: View, [escapes, meaning]: (typeof decoders)[0]): View {
  const next: View = { text: '', from: [], to: [] };
  let done = 0;
  const copy = (until: number): void => {
    next.text += view.text.slice(done, until);
    for (; done < until; done++) {
      next.from.push(view.from[done]!);
      next.to.push(view.to[done]!);
    }
  };
  for (const { 0: escape, index } of view.text.matchAll(escapes)) {
    copy(index);
    done = index + escape.length;
    const plain = meaning(escape);
    next.text += plain;
    for (let each = 0; each < plain.length; each++) {
      next.from.push(view.from[index]!);
      next.to.push(view.to[done - 1]!);
    }
  }
  copy(view.text.length);
  return next;
}

/** A text as it stands and with its escapes undone, in any order. */
function viewsOf(text: string): View[] {
  const places = Array.from({ length: text.length }, (_, index) => index);
  const views: View[] = [{ text, from: places, to: places.map(place => place + 1) }];
  const seen = new Set([text]);
  for (let [depth, first] = [0, 0]; depth < deepest; depth++) {
    const level = views.slice(first);
    first = views.length;
    for (const view of level)
      for (const decoder of decoders) {
        const next = decoded(view, decoder);
        if (!seen.has(next.text)) views.push(next);
        seen.add(next.text);
      }
  }
  return views;
}

/** What is looked for: secrets, and what they are within base64, where it looks different after one or two other bytes. */
interface Wanted {
  plain: string[];
  base64: string[];
}

function wantedOf(secrets: readonly string[]): Wanted {
  const plain = [...new Set(secrets.map(secret => secret.replace(/\s+/g, '')))].filter(Boolean);
  const base64 = secrets.flatMap(secret =>
    [0, 1, 2].map(before => {
      const whole = Buffer.from('.'.repeat(before) + secret).toString('base64');
      return whole.slice(before === 0 ? 0 : before + 1, Math.floor(((before + Buffer.byteLength(secret)) * 8) / 6));
    }),
  );
  return { plain, base64 };
}

/** Where any of these stands in the original. */
function placesOf({ text, from, to }: View, wanted: readonly string[]): [start: number, end: number][] {
  return wanted.flatMap(one => {
    const places: [number, number][] = [];
    for (let at = text.indexOf(one); at >= 0; at = text.indexOf(one, at + 1)) places.push([from[at]!, to[at + one.length - 1]!]);
    return places;
  });
}

/** The whole of a base64 text around a part of it. */
function widened(text: string, [start, end]: [number, number]): [number, number] {
  const isPart = (place: number): boolean => /[\w+/=-]/.test(text.charAt(place));
  while (start > 0 && isPart(start - 1)) start--;
  while (isPart(end)) end++;
  return [start, end];
}

/**
 * Makes what replaces secrets by `***`: as they stand, percent-encoded, JSON- or HTML-escaped, split by white space, and in base64, also inside a longer text.
 * @param secrets none of them so short that it would be found in every text
 */
export function cleaner(secrets: readonly string[]): Clean {
  const known = wantedOf(secrets);
  return (whole, more = [], most = 4000) => {
    // A secret that begins in what is left ends in what is looked at.
    const text = whole.slice(0, 2 * most);
    const extra = wantedOf(more);
    const places = viewsOf(text).flatMap(view => {
      const plain = decoded(view, blanks);
      const base64 = { ...plain, text: plain.text.replaceAll('-', '+').replaceAll('_', '/') };
      const inBase64 = placesOf(base64, [...known.base64, ...extra.base64]).map(place => widened(text, place));
      return [...placesOf(plain, [...known.plain, ...extra.plain]), ...inBase64];
    });
    let [clean, done] = ['', 0];
    const shown = places.filter(([start]) => start < most).sort(([one], [other]) => one - other);
    for (const [start, end] of shown) {
      if (start >= done) clean += `${text.slice(done, start)}***`;
      done = Math.max(done, end);
    }
    return clean + text.slice(done, most);
  };
}
