import { type Explanation, inEnglish } from '../../explanations/explanation.js';
import { parseJson } from '../../outgoing/http.js';
import type { ChangeEvent, Delivery } from '../sink.js';
import { LiquidText, TemplateError } from './liquid.js';

/** The settings that determine the request. */
export interface ShapeSettings {
  URL: string;
  CONTENT_TYPE: string;
  TEMPLATE?: string;
  SUCCESS?: string;
}

const maxBytes = 1024 * 1024;

/** The result of rendering a template cannot be sent. */
export class UnusableRendering extends Error {
  constructor(
    readonly why: Explanation,
    readonly rendering = '',
  ) {
    super(inEnglish(why));
  }
}

/** Whether a content type means JSON. */
export function isJson(contentType: string): boolean {
  return /^[^/]+\/([^;]+\+)?json\s*(;|$)/i.test(contentType);
}

/** The data available to a template; all keys are always present. */
export type TemplateData = Pick<Delivery, 'event' | 'origin'>;

function dataOf({ event, origin }: TemplateData): object {
  return { type: event.type, timestamp: event.timestamp, data: { test: false, ...event.data }, origin };
}

/** Renders the body of a request from an operator's template. */
export class BodyTemplate {
  private readonly text: LiquidText;

  /** @throws TemplateError */
  constructor(
    text: string,
    private readonly contentType: string,
  ) {
    this.text = new LiquidText(text);
  }

  /** @returns `null` to skip the delivery @throws TemplateError, UnusableRendering */
  render(data: TemplateData): string | null {
    if (sizeOf(data.event) > maxBytes) throw new UnusableRendering(['change_too_large']);
    const body = this.text.render(dataOf(data));
    const trimmed = body.trim();
    if (trimmed === 'skip') return null;
    if (Buffer.byteLength(body) > maxBytes) throw new UnusableRendering(['rendering_too_large']);
    if (trimmed === '') throw new UnusableRendering(['rendering_empty']);
    if (isJson(this.contentType) && parseJson(body) === undefined) throw new UnusableRendering(['rendering_not_json'], body);
    return body;
  }
}

function sizeOf({ data: { profile, changes } }: ChangeEvent): number {
  const texts = [...Object.values(profile), ...changes.flatMap(({ from, to }) => [from, to])];
  return texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
}

/** Placed around values in a URL while checking it; percent-encoded values cannot contain them. */
const marks = ['\u0001', '\u0002'] as const;

function unmarked(text: string): string {
  return text.replaceAll(marks[0], '').replaceAll(marks[1], '');
}

function encoded(value: unknown): string {
  const text = typeof value === 'string' ? value : value === null || value === undefined ? '' : JSON.stringify(value);
  return marks[0] + encodeURIComponent(text.toWellFormed()) + marks[1];
}

/** Renders a request URL from an operator's template. */
export class UrlTemplate {
  private readonly text: LiquidText;

  /** @throws TemplateError */
  constructor(text: string) {
    this.text = new LiquidText(text, encoded);
  }

  /** @throws TemplateError, UnusableRendering */
  render(data: TemplateData): string {
    const url = this.text.render(dataOf(data)).trim();
    const [path] = url.split(/[?#]/, 1);
    // A server would resolve dot or empty segments and so address another record; a backslash counts as a slash.
    const wrong = path!.split(/[/\\]/).some(segment => segment.includes(marks[0]) && /^(\.|%2e){0,2}$/i.test(unmarked(segment)));
    if (wrong) throw new UnusableRendering(['url_segment']);
    const plain = unmarked(url);
    if (!URL.canParse(plain) || /\s/.test(plain)) throw new UnusableRendering(['url_invalid']);
    return plain;
  }
}

/** The position of the first Liquid tag in a text; -1 if there is none. */
export function liquidAt(text: string): number {
  return text.search(/\{\{|\{%/);
}

/** An operator's Liquid condition on a response. */
export class SuccessCondition {
  private readonly text: LiquidText;

  /** @throws TemplateError */
  constructor(condition: string) {
    const [before, start] = ['{% if ', 'line 1, column 1'];
    if (/[{%]\}|\{[{%]/.test(condition)) throw new TemplateError('it must be a condition alone, without {% and %}', start);
    this.text = new LiquidText(`${before}${condition} %}yes{% endif %}`, undefined, before.length);
    const unknown = this.text.variables.find(name => name !== 'status' && name !== 'answer');
    if (unknown !== undefined) throw new TemplateError(`undefined variable: ${unknown}; there are status and answer`, start);
  }

  /** False also if the condition cannot be evaluated on this response. */
  holds(status: number, body: string): boolean {
    const answer = parseJson(body);
    try {
      return this.text.render({ status, answer: answer === undefined ? body : answer }) === 'yes';
    } catch (error) {
      if (error instanceof TemplateError) return false;
      throw error;
    }
  }
}
