import type { SinkContext } from '../sink-type.js';
import { TemplateError, renderMs } from './liquid.js';
import { type Sample, samples } from './samples.js';
import { BodyTemplate, type ShapeSettings, SuccessCondition, UnusableRendering, UrlTemplate, isJson, liquidAt } from './templates.js';

/** How much of a faulty rendering is shown, and how much around the fault is cleaned of secrets first; in characters. */
const excerptLength = 120;
const cleanedLength = 1500;

type Clean = SinkContext['clean'];
/** A test rendering and the name of its sample. */
type Trial = readonly [sample: string, render: () => unknown];

/** Renders all templates with samples before the first webhook. @returns mistakes as `[property, what to do]` */
export function shapeMistakes(
  { URL: url, TEMPLATE, CONTENT_TYPE, SUCCESS }: ShapeSettings,
  valid: (...properties: string[]) => boolean,
  clean: Clean,
): [property: string, message: string][] {
  const mistakes: [string, string][] = [];
  const prove = (property: string, trials: () => Trial[]): void => {
    const problem = problemOf(trials, clean);
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

/** Whether the template's output depends on `data.test`, so that the target can recognize a test. */
export function marksTests(template: string, contentType: string): boolean {
  const body = new BodyTemplate(template, contentType);
  return samples.some(sample => {
    const { event } = sample;
    try {
      return body.render(sample) !== body.render({ ...sample, event: { ...event, data: { ...event.data, test: true } } });
    } catch {
      // A failing template is reported elsewhere.
      return true;
    }
  });
}

/** @param isTolerated whether an error is left to be refused per delivery, since it may concern only a few channels */
function onSamples(render: (sample: Sample) => unknown, isTolerated: (error: UnusableRendering) => boolean): Trial[] {
  return samples.map(sample => [
    sample.about,
    () => {
      try {
        render(sample);
      } catch (error) {
        if (!(error instanceof UnusableRendering && isTolerated(error))) throw error;
      }
    },
  ]);
}

/** The problem of the first failing trial, `null` if none fails. A timeout is repeated once, since the machine may have been busy. */
function problemOf(trials: () => Trial[], clean: Clean): string | null {
  let suffix = '';
  try {
    for (const [sample, render] of trials()) {
      suffix = ` (sample: ${sample})`;
      try {
        render();
      } catch (error) {
        if (!(error instanceof TemplateError && error.isTimeout)) throw error;
        render();
      }
    }
    return null;
  } catch (error) {
    return describe(error, clean) + suffix;
  }
}

function describe(error: unknown, clean: Clean): string {
  if (error instanceof TemplateError) {
    const problem = error.isTimeout ? `takes longer than ${renderMs} ms` : `is wrong: ${clean(oneLine(error.message))}`;
    return error.place === '' ? problem : `${problem}, ${error.place}`;
  }
  if (!(error instanceof UnusableRendering)) throw error;
  const { why, message, rendering } = error;
  if (why[0] !== 'rendering_not_json') return `is wrong: ${message} (line 1, column 1)`;
  const at = jsonFault(rendering);
  const lines = rendering.slice(0, at).split('\n');
  const before = oneLine(rendering.slice(Math.max(0, at - cleanedLength), at));
  const from = Math.max(0, clean(before).length - excerptLength / 2);
  const excerpt = clean(before + oneLine(rendering.slice(at, at + cleanedLength))).slice(from, from + excerptLength);
  return `must make JSON: what it makes is wrong at line ${lines.length}, column ${lines.at(-1)!.length + 1}: ${excerpt}`;
}

function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}

/** The position of the first JSON syntax error, found by bisection. */
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
