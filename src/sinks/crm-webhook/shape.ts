import { Misconfigured, NotSent, Refused, type SinkError } from '../errors.js';
import type { Delivery } from '../sink.js';
import { TemplateError, renderMs } from './liquid.js';
import { type ShapeSettings, UnusableRendering, bodyTemplate, hasLiquid, successCondition, urlTemplate } from './templates.js';

const maxTimedOut = 1000;

/** Builds requests from a sink's templates, evaluates its success condition, and maps template errors to sink errors. */
export class Shape {
  private readonly renderBody: (delivery: Delivery) => string | null;
  private readonly renderUrl: (delivery: Delivery) => string;
  private readonly succeeds: (status: number, body: string) => boolean;
  private readonly urlHasLiquid: boolean;
  /** Deliveries whose last rendering timed out. */
  private readonly timedOut = new Set<string>();

  constructor({ URL, TEMPLATE, CONTENT_TYPE, SUCCESS }: ShapeSettings) {
    this.renderBody = TEMPLATE === undefined ? ({ event }) => JSON.stringify(event) : bodyTemplate(TEMPLATE, CONTENT_TYPE);
    this.urlHasLiquid = hasLiquid(URL);
    this.renderUrl = this.urlHasLiquid ? urlTemplate(URL) : () => URL;
    this.succeeds = SUCCESS === undefined ? () => true : successCondition(SUCCESS);
  }

  /** @returns `null` to skip the delivery @throws SinkError */
  body(delivery: Delivery): string | null {
    return this.rendered('TEMPLATE', delivery.id, () => this.renderBody(delivery));
  }

  url(delivery: Delivery): string {
    return this.rendered('URL', delivery.id, () => this.renderUrl(delivery));
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
