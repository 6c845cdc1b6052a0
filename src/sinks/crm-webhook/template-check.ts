import type { Mistake, Valid } from '../../settings/setting.js';
import type { SinkContext } from '../sink-type.js';
import { TemplateError, renderMs } from './liquid.js';
import { type Sample, samples } from './samples.js';
import { type ShapeSettings, UnusableRendering, bodyTemplate, hasLiquid, isJson, successCondition, urlTemplate } from './templates.js';

/** How much of a faulty rendering is shown, and how much around the fault is cleaned of secrets first; in characters. */
const excerptLength = 120;
const cleanedLength = 1500;

type Clean = SinkContext['clean'];
type Compile = () => (sample: Sample) => unknown;

/** Renders all templates with samples before the first webhook. */
export function templateMistakes(settings: ShapeSettings, valid: Valid, clean: Clean): Mistake[] {
  const { URL: url, TEMPLATE, CONTENT_TYPE, SUCCESS } = settings;
  const mistakes: Mistake[] = [];
  const tryOut = (property: string, compile: Compile, tolerated: readonly string[] = []): void => {
    const problem = problemOf(compile, tolerated, clean);
    if (problem !== null) mistakes.push([property, problem]);
  };
  if (valid('URL') && hasLiquid(url)) tryOut('URL', () => urlTemplate(url), ['url_segment', 'url_invalid']);
  if (TEMPLATE !== undefined && valid('CONTENT_TYPE'))
    tryOut('TEMPLATE', () => bodyTemplate(TEMPLATE, CONTENT_TYPE), isJson(CONTENT_TYPE) ? [] : ['rendering_empty']);
  if (SUCCESS !== undefined) tryOut('SUCCESS', () => (successCondition(SUCCESS), () => undefined));
  return mistakes;
}

/** Whether the template's output depends on `data.test`, so that the target can recognize a test. */
export function marksTests(template: string, contentType: string): boolean {
  const render = bodyTemplate(template, contentType);
  return samples.some(sample => {
    const { event } = sample;
    try {
      return render(sample) !== render({ ...sample, event: { ...event, data: { ...event.data, test: true } } });
    } catch {
      // A failing template is reported elsewhere.
      return true;
    }
  });
}

/** @param tolerated errors that are left to be refused per delivery, since they may concern only a few channels */
function problemOf(compile: Compile, tolerated: readonly string[], clean: Clean): string | null {
  let suffix = '';
  try {
    const render = compile();
    const tryOn = (sample: Sample, again: boolean): void => {
      try {
        render(sample);
      } catch (error) {
        // The machine may have been busy.
        if (again && error instanceof TemplateError && error.isTimeout) tryOn(sample, false);
        else if (!(error instanceof UnusableRendering && tolerated.includes(error.why[0]))) throw error;
      }
    };
    for (const sample of samples) {
      suffix = ` (sample: ${sample.about})`;
      tryOn(sample, true);
    }
    return null;
  } catch (error) {
    return describe(error, clean) + suffix;
  }
}

function describe(error: unknown, clean: Clean): string {
  if (error instanceof TemplateError) {
    const problem = error.isTimeout ? `takes longer than ${renderMs} ms` : `is wrong: ${clean(oneLine(error.message))}`;
    return `${problem}, ${error.place}`;
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
