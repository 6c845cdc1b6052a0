/** Removes secrets from a third-party text. @param more secrets beyond those of the settings @param maxLength longer texts are cut */
export type Clean = (text: string, more?: readonly string[], maxLength?: number) => string;

/** A range in a text: where it starts, and where what follows it starts. */
type Range = [start: number, end: number];

interface Decoder {
  /** As a group. */
  escapes: RegExp;
  meaning: (escape: string) => string;
  /** Length of the part of an escape that each character of its meaning comes from; the whole escape unless given. */
  partLength?: number;
}

const decoders: Decoder[] = [
  { escapes: /((?:%[0-9a-f]{2})+)/gi, meaning: run => Buffer.from(run.replaceAll('%', ''), 'hex').toString() },
  // Form encoding.
  { escapes: /(\+)/g, meaning: () => ' ' },
  { escapes: /(\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt]))/g, meaning: escape => String(JSON.parse(`"${escape}"`)) },
  // White space alone: a backslash before it may be the secret's own.
  { escapes: /(\\[fnrt])/g, meaning: () => ' ' },
  { escapes: /(&(?:#\d{1,6}|#x[0-9a-f]{1,5}|amp|lt|gt|quot|apos);)/gi, meaning: entityMeaning },
];
const blanks: Decoder = { escapes: /(\s+)/g, meaning: () => '' };
/** Decodes to bytes, a character each. What is no base64, or too short for a secret, becomes a NUL, so that nothing is found across it. */
const base64: Decoder = {
  escapes: /([\w+/-]+|[^\w+/-]+)/g,
  meaning: part => (part.length > 4 && Buffer.from(part, 'base64').toString('latin1')) || '\0',
  partLength: 4 / 3,
};
/** Leave out the beginning of each run: what precedes base64 may look like a part of it, and four characters make three bytes. */
const shifts = [1, 2, 3].map(length => ({ escapes: new RegExp(`(?<![\\w+/-])([\\w+/-]{${length}})`, 'g'), meaning: () => ' ' }));
/** Maximum number of nested encodings, outside of base64 and again within. */
const maxDepth = 3;
const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function entityMeaning(entity: string): string {
  const name = entity.slice(1, -1).toLowerCase();
  return named[name] ?? String.fromCodePoint(Number(name.replace('#x', '0x').replace('#', '')));
}

/** A text that is or was decoded from the original, where `rangeOf` finds a range of it. */
interface View {
  text: string;
  rangeOf: (range: Range) => Range;
}

function decoded(source: View, decoder: Decoder): View {
  let origins: Range[] | undefined;
  return {
    text: source.text.replace(decoder.escapes, decoder.meaning),
    rangeOf: ([start, end]) => {
      origins ??= originsIn(source.text, decoder);
      return source.rangeOf([origins[start]![0], origins[end - 1]![1]]);
    },
  };
}

/** The range, such as an escape, that each character of the decoded text comes from. */
function originsIn(text: string, { escapes, meaning, partLength }: Decoder): Range[] {
  const origins: Range[] = [];
  let at = 0;
  // Every other part is an escape, since the pattern is a group.
  for (const [index, part] of text.split(escapes).entries()) {
    const isEscape = index % 2 === 1;
    const step = isEscape ? partLength : 1;
    const length = isEscape ? meaning(part).length : part.length;
    for (let done = 0; done < length; done++)
      origins.push(step === undefined ? [at, at + part.length] : [at + Math.floor(done * step), at + Math.ceil((done + 1) * step)]);
    at += part.length;
  }
  return origins;
}

/** The view itself and with its escapes decoded, in every order; all without white space. */
function viewsOf(view: View): View[] {
  const views = new Map([[view.text, view]]);
  let latest = [view];
  for (let done = 0; done < maxDepth; done++) {
    latest = latest.flatMap(source => decoders.map(decoder => decoded(source, decoder))).filter(({ text }) => !views.has(text));
    for (const one of latest) views.set(one.text, one);
    latest = latest.filter(one => views.get(one.text) === one);
  }
  return [...views.values()].map(one => decoded(one, blanks));
}

/** The strings to search for: secrets, and their bytes, as which base64 is decoded. */
function needlesOf(secrets: readonly string[]): string[] {
  const texts = secrets.flatMap(secret => [secret, Buffer.from(secret).toString('latin1')]);
  return [...new Set(texts.map(text => text.replace(/\s+/g, '')))].filter(Boolean);
}

/** A shorter beginning of a secret at the end of a text may be a coincidence, and reveals little. */
const minPartLength = 8;
/** What may follow a secret that was cut: half an escape or character, or what marks the cut and closes the text around it. */
const afterCut = /(?:%[\da-f]?|\\(?:u[\da-f]{0,3})?|&#?\w{0,6})?[\0\ufffd.…"'})\]]{0,8}$/i;

/** The ranges in the original text where any needle occurs, or begins and is cut by the end of the text. */
function rangesOf({ text, rangeOf }: View, needles: readonly string[]): Range[] {
  const ends = [text, text.replace(afterCut, '')];
  return needles.flatMap(needle => {
    const ranges = ends.flatMap(end => {
      const at = end.indexOf(needle.slice(0, minPartLength), Math.max(0, end.length - needle.length));
      return at >= 0 && needle.startsWith(end.slice(at)) ? [rangeOf([at, end.length])] : [];
    });
    for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1)) ranges.push(rangeOf([at, at + needle.length]));
    return ranges;
  });
}

/** Extends a range to the whole base64 text around it. */
function widened(text: string, [start, end]: Range): Range {
  const isPart = (place: number): boolean => /[\w+/=-]/.test(text.charAt(place));
  while (start > 0 && isPart(start - 1)) start--;
  while (isPart(end)) end++;
  return [start, end];
}

/**
 * Returns a function that replaces secrets with `***`, whether plain, percent-encoded, JSON- or HTML-escaped, split by white space,
 * or any of these in base64, also as part of a longer base64 text, and also where the end of the text cuts it.
 * @param secrets must not be so short that they would match in any text
 */
export function cleaner(secrets: readonly string[]): Clean {
  const known = needlesOf(secrets);
  return (whole, more = [], maxLength = 4000) => {
    // Looks beyond the cut, to find secrets that the cut would split.
    const text = whole.slice(0, 2 * maxLength);
    const needles = [...known, ...needlesOf(more)];
    const views = viewsOf({ text, rangeOf: range => range });
    const inBase64 = views.flatMap(view =>
      [view, ...shifts.map(shift => decoded(view, shift))].flatMap(one => viewsOf(decoded(one, base64))),
    );
    const encoded = inBase64.flatMap(view => rangesOf(view, needles)).map(range => widened(text, range));
    const ranges = [...views.flatMap(view => rangesOf(view, needles)), ...encoded];
    let [clean, done] = ['', 0];
    const shown = ranges.filter(([start]) => start < maxLength).sort(([a], [b]) => a - b);
    for (const [start, end] of shown) {
      if (start >= done) clean += `${text.slice(done, start)}***`;
      done = Math.max(done, end);
    }
    return clean + text.slice(done, maxLength);
  };
}
