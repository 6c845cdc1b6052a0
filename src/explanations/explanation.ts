import { english } from './en.js';

type Texts = typeof english;
export type Code = keyof Texts;

/** A value inserted into a text; an explanation is inserted as its own text. */
type Part = string | number | readonly [Code, ...unknown[]];
type PartsOf<Text> = Text extends (...parts: infer Parts) => string ? { [Index in keyof Parts]: Part } : [];

/**
 * A reason or a piece of advice: the code of one of our texts, and the values inserted into it. Stored as JSON, so that each reader sees it
 * in their own language, in the wording of the release that shows it.
 */
export type Explanation = { [C in Code]: readonly [code: C, ...parts: PartsOf<Texts[C]>] }[Code];

/** A text for each code. Functions receive their parts as texts. */
export type Catalogue = { [C in Code]: Texts[C] extends string ? string : (...parts: string[]) => string };

/** In English, as in logs and the API. */
export function inEnglish(explanation: Explanation): string {
  return textOf(explanation, english);
}

/** Serialized for storage. */
export function stored(explanation: Explanation): string {
  return JSON.stringify(explanation);
}

/** A stored explanation as text; unchanged if it is none, such as a sentence that an earlier release stored. */
export function readExplanation(text: string, catalogue: Catalogue = english): string {
  try {
    const found: unknown = text.startsWith('["') ? JSON.parse(text) : null;
    return isExplanation(found) ? textOf(found, catalogue) : text;
  } catch {
    return text;
  }
}

/** A stored explanation in English. */
export function inEnglishOrNull(text: string | null): string | null {
  return text === null ? null : readExplanation(text);
}

/** The same for logs, without the target's answer, which may repeat what it was sent. */
export function withoutAnswer(text: string): string {
  return readExplanation(text, { ...english, with_answer: why => why! });
}

function isExplanation(value: unknown): value is readonly [Code, ...unknown[]] {
  return Array.isArray(value) && typeof value[0] === 'string' && Object.hasOwn(english, value[0]);
}

function textOf([code, ...parts]: readonly [Code, ...unknown[]], catalogue: Catalogue): string {
  const text = catalogue[code];
  return typeof text === 'string' ? text : text(...parts.map(part => (isExplanation(part) ? textOf(part, catalogue) : String(part))));
}
