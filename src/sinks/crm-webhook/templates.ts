import { type Explanation, inEnglish } from '../../explanations/explanation.js';
import { parseJson } from '../../outgoing/http.js';
import type { ChangeEvent, Delivery } from '../sink.js';
import { LiquidText, TemplateError } from './liquid.js';

export interface ShapeSettings {
  URL: string;
  CONTENT_TYPE: string;
  TEMPLATE?: string;
  SUCCESS?: string;
}

const maxBytes = 1024 * 1024;

export class UnusableRendering extends Error {
  constructor(
    readonly why: Explanation,
    readonly rendering = '',
  ) {
    super(inEnglish(why));
  }
}

export function isJson(contentType: string): boolean {
  return /^[^/]+\/([^;]+\+)?json\s*(;|$)/i.test(contentType);
}

/** The data available to a template; all keys are always present. */
export type TemplateData = Pick<Delivery, 'event' | 'origin'>;

function dataOf({ event, origin }: TemplateData): object {
  return { type: event.type, timestamp: event.timestamp, data: { test: false, ...event.data }, origin };
}

/** Compiles the template of a body; its renderings are `null` to skip the delivery, or throw TemplateError or UnusableRendering. */
export function bodyTemplate(text: string, contentType: string): (data: TemplateData) => string | null {
  const template = new LiquidText(text);
  return data => {
    if (sizeOf(data.event) > maxBytes) throw new UnusableRendering(['change_too_large']);
    const body = template.render(dataOf(data));
    const trimmed = body.trim();
    if (trimmed === 'skip') return null;
    if (Buffer.byteLength(body) > maxBytes) throw new UnusableRendering(['rendering_too_large']);
    if (trimmed === '') throw new UnusableRendering(['rendering_empty']);
    if (isJson(contentType) && parseJson(body) === undefined) throw new UnusableRendering(['rendering_not_json'], body);
    return body;
  };
}

function sizeOf({ data: { profile, changes } }: ChangeEvent): number {
  const texts = [...Object.values(profile), ...changes.flatMap(({ from, to }) => [from, to])];
  return texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
}

/** Placed before values in a URL while checking it; percent-encoded values cannot contain it. */
const mark = '\u0001';

function encoded(value: unknown): string {
  const text = typeof value === 'string' ? value : value === null || value === undefined ? '' : JSON.stringify(value);
  return mark + encodeURIComponent(text.toWellFormed());
}

/** Compiles the template of a URL; its renderings throw TemplateError or UnusableRendering. */
export function urlTemplate(text: string): (data: TemplateData) => string {
  const template = new LiquidText(text, encoded);
  return data => {
    const url = template.render(dataOf(data)).trim();
    const [path] = url.split(/[?#]/, 1);
    // A server would resolve dot or empty segments and so address another record; a backslash counts as a slash.
    const wrong = path!.split(/[/\\]/).some(segment => segment.includes(mark) && /^(\.|%2e){0,2}$/i.test(segment.replaceAll(mark, '')));
    if (wrong) throw new UnusableRendering(['url_segment']);
    const plain = url.replaceAll(mark, '');
    if (!URL.canParse(plain) || /\s/.test(plain)) throw new UnusableRendering(['url_invalid']);
    return plain;
  };
}

export function hasLiquid(text: string): boolean {
  return /\{\{|\{%/.test(text);
}

/** Compiles a condition on a response; it is false also where it cannot be evaluated. @throws TemplateError */
export function successCondition(condition: string): (status: number, body: string) => boolean {
  const [before, start] = ['{% if ', 'line 1, column 1'];
  if (/[{%]\}|\{[{%]/.test(condition)) throw new TemplateError('it must be a condition alone, without {% and %}', start);
  const template = new LiquidText(`${before}${condition} %}yes{% endif %}`, undefined, before.length);
  const unknown = template.variables.find(name => name !== 'status' && name !== 'answer');
  if (unknown !== undefined) throw new TemplateError(`undefined variable: ${unknown}; there are status and answer`, start);
  return (status, body) => {
    const answer = parseJson(body);
    try {
      return template.render({ status, answer: answer === undefined ? body : answer }) === 'yes';
    } catch (error) {
      if (error instanceof TemplateError) return false;
      throw error;
    }
  };
}
