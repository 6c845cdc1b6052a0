import { english } from './en.js';

type Texts = typeof english;
export type Code = keyof Texts;

/** What is put into a text; an explanation is put in as its own text. */
type Part = string | number | readonly [Code, ...unknown[]];
type PartsOf<Text> = Text extends (...parts: infer Parts) => string ? { [Index in keyof Parts]: Part } : [];

/**
 * Why something is as it is, or what a person can do about it: the code of a text of ours, and what is put into that. Stored as JSON, so that each
 * reader has it in their own language, in the words of the release that shows it.
 */
export type Explanation = { [C in Code]: readonly [code: C, ...parts: PartsOf<Texts[C]>] }[Code];

/** A text for each code. Where it is a function, its parts come as texts. */
export type Catalogue = { [C in Code]: Texts[C] extends string ? string : (...parts: string[]) => string };

/** In English, as logs and the API have it. */
export function inEnglish(explanation: Explanation): string {
  return textOf(explanation, english);
}

/** As it is stored. */
export function stored(explanation: Explanation): string {
  return JSON.stringify(explanation);
}

/** What was stored, in the language of the catalogue; as it is if it is no explanation, such as a sentence that an earlier release stored. */
export function readExplanation(text: string, catalogue: Catalogue = english): string {
  try {
    const found: unknown = text.startsWith('["') ? JSON.parse(text) : null;
    return isExplanation(found) ? textOf(found, catalogue) : text;
  } catch {
    return text;
  }
}

/** What was stored, in English. */
export function inEnglishOrNull(text: string | null): string | null {
  return text === null ? null : readExplanation(text);
}

/** The same for a log, without what a target answered: that may repeat what it was sent. */
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
