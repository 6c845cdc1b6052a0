import { type Explanation, inEnglish } from '../../explanations/explanation.js';
import { parseJson } from '../../outgoing/http.js';
import type { ChangeEvent, Delivery } from '../sink.js';
import { Misconfigured, NotSent, Refused, type SinkError } from '../errors.js';
import { LiquidText, TemplateError, renderMs } from './liquid.js';

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
    } catch {
      return false;
    }
  };
}

const maxTimedOut = 1000;

/** Builds requests from a sink's templates, evaluates its success condition, and maps template errors to sink errors. */
export class Shape {
  private readonly renderBody: (delivery: Delivery) => string | null;
  private readonly renderUrl: (delivery: Delivery) => string;
  private readonly succeeds: (status: number, body: string) => boolean;
  private readonly urlHasLiquid: boolean;
  private readonly asksForAnswer: boolean;
  /** Deliveries whose last rendering timed out. */
  private readonly timedOut = new Set<string>();

  constructor({ URL, TEMPLATE, CONTENT_TYPE, SUCCESS }: ShapeSettings) {
    this.renderBody = TEMPLATE === undefined ? ({ event }) => JSON.stringify(event) : bodyTemplate(TEMPLATE, CONTENT_TYPE);
    this.urlHasLiquid = hasLiquid(URL);
    this.renderUrl = this.urlHasLiquid ? urlTemplate(URL) : () => URL;
    this.asksForAnswer = /\banswer\b/.test(SUCCESS ?? '');
    this.succeeds = SUCCESS === undefined ? () => true : successCondition(SUCCESS);
  }

  /** @returns `null` to skip the delivery @throws SinkError */
  body(delivery: Delivery): string | null {
    return this.rendered('TEMPLATE', delivery.id, () => this.renderBody(delivery));
  }

  url(delivery: Delivery): string {
    return this.rendered('URL', delivery.id, () => this.renderUrl(delivery));
  }

  /** Whether the body decides about this status, too. A cut one would be refused for good, though the target may have taken the delivery. */
  readsAnswer(status: number): boolean {
    return this.asksForAnswer && status >= 200 && status < 300;
  }

  /** Refines the outcome that follows from the status: a missing record or an unmet success condition is refused. */
  failureOf({ status, body }: { status: number; body: string }, byStatus: SinkError | null): SinkError | null {
    const isMissing = this.urlHasLiquid && byStatus instanceof Misconfigured && (status === 404 || status === 410);
    if (isMissing) return byStatus.as(Refused, ['no_record']);
    if (byStatus || this.succeeds(status, body)) return byStatus;
    return new Refused(['success_not_met', status], ['fix_or_success'], status);
  }

  private rendered<T>(setting: string, id: string, render: () => T): T {
    try {
      const text = render();
      this.timedOut.delete(id);
      return text;
    } catch (error) {
      const advice = ['fix_template', setting] as const;
      if (error instanceof UnusableRendering) throw new Refused(error.why, advice);
      if (!(error instanceof TemplateError)) throw error;
      if (!error.isTimeout) throw new Refused(['cannot_render', setting, ['as_said', error.fact]], advice);
      const why = ['rendering_slow', setting, renderMs] as const;
      if (this.timedOut.delete(id)) throw new Refused(why, advice);
      if (this.timedOut.size < maxTimedOut) this.timedOut.add(id);
      throw new NotSent(why, ['simplify_template', setting]);
    }
  }
}
