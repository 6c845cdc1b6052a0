import type { SinkContext } from '../sink-type.js';
import { TemplateError, renderMs } from './liquid.js';
import { type Sample, samples } from './samples.js';
import { BodyTemplate, type ShapeSettings, SuccessCondition, UnusableRendering, UrlTemplate, isJson, liquidAt } from './templates.js';

/** So much of a rendering is shown, and so much around the fault is looked at for secrets. */
const shown = 120;
const lookedAt = 1500;

type Clean = SinkContext['clean'];
/** One rendering, and what it is of. */
type Try = readonly [of: string, render: () => unknown];

/** Tries everything that is rendered on samples, before the first webhook. @returns mistakes, each as `[property, what to do]` */
export function shapeMistakes(
  { URL: url, TEMPLATE, CONTENT_TYPE, SUCCESS }: ShapeSettings,
  valid: (...properties: string[]) => boolean,
  clean: Clean,
): [property: string, message: string][] {
  const mistakes: [string, string][] = [];
  const prove = (property: string, tries: () => Try[]): void => {
    const problem = problemOf(tries, clean);
    if (problem !== null) mistakes.push([property, problem]);
  };
  if (valid('URL') && liquidAt(url) >= 0) {
    prove('URL', () => {
      const template = new UrlTemplate(url);
      return onSamples(
        sample => template.render(sample),
        () => true,
      );
    });
  }
  if (TEMPLATE !== undefined && valid('CONTENT_TYPE')) {
    prove('TEMPLATE', () => {
      const template = new BodyTemplate(TEMPLATE, CONTENT_TYPE);
      return onSamples(
        sample => template.render(sample),
        error => error.why[0] === 'rendering_empty' && !isJson(CONTENT_TYPE),
      );
    });
  }
  if (SUCCESS !== undefined) prove('SUCCESS', () => (new SuccessCondition(SUCCESS), []));
  return mistakes;
}

/** Whether what a template makes of a test says that it is one: it writes `data.test`. */
export function marksTests(template: string, contentType: string): boolean {
  const body = new BodyTemplate(template, contentType);
  return samples.some(sample => {
    const { event } = sample;
    try {
      return body.render(sample) !== body.render({ ...sample, event: { ...event, data: { ...event.data, test: true } } });
    } catch {
      // What cannot be rendered is told elsewhere.
      return true;
    }
  });
}

/** @param isLeft whether that is for later to refuse: it may concern a few channels alone */
function onSamples(render: (sample: Sample) => unknown, isLeft: (error: UnusableRendering) => boolean): Try[] {
  return samples.map(sample => [
    sample.about,
    () => {
      try {
        render(sample);
      } catch (error) {
        if (!(error instanceof UnusableRendering && isLeft(error))) throw error;
      }
    },
  ]);
}

/** What is wrong with the first that fails, twice if it took too long: the machine may have been busy. */
function problemOf(tries: () => Try[], clean: Clean): string | null {
  let of = '';
  try {
    for (const [what, render] of tries()) {
      of = ` (sample: ${what})`;
      try {
        render();
      } catch (error) {
        if (!(error instanceof TemplateError && error.isLate)) throw error;
        render();
      }
    }
    return null;
  } catch (error) {
    return told(error, clean) + of;
  }
}

function told(error: unknown, clean: Clean): string {
  if (error instanceof TemplateError) {
    const what = error.isLate ? `takes longer than ${renderMs} ms` : `is wrong: ${clean(oneLine(error.message))}`;
    return error.place === '' ? what : `${what}, ${error.place}`;
  }
  if (!(error instanceof UnusableRendering)) throw error;
  const { why, message, rendering } = error;
  if (why[0] !== 'rendering_not_json') return `is wrong: ${message} (line 1, column 1)`;
  const at = jsonFault(rendering);
  const lines = rendering.slice(0, at).split('\n');
  const before = oneLine(rendering.slice(Math.max(0, at - lookedAt), at));
  const from = Math.max(0, clean(before).length - shown / 2);
  const part = clean(before + oneLine(rendering.slice(at, at + lookedAt))).slice(from, from + shown);
  return `must make JSON: what it makes is wrong at line ${lines.length}, column ${lines.at(-1)!.length + 1}: ${part}`;
}

function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}

/** Where a text stops being the beginning of JSON. */
function jsonFault(text: string): number {
  let [good, bad] = [0, text.length + 1];
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (isBeginning(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

function isBeginning(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    const { message } = error as Error;
    const at = /at position (\d+)/.exec(message)?.[1];
    return /^Un(expected end of JSON input|terminated)/.test(message) || (at !== undefined && Number(at) >= text.length);
  }
}
