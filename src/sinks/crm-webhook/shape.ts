import { Misconfigured, NotSent, Refused, type SinkError } from '../errors.js';
import type { Delivery } from '../sink.js';
import { TemplateError, renderMs } from './liquid.js';
import { BodyTemplate, type ShapeSettings, SuccessCondition, UnusableRendering, UrlTemplate, liquidAt } from './templates.js';

/** Maximum number of remembered deliveries whose rendering timed out. */
const maxTimedOut = 1000;

/** Builds requests from a sink's templates, evaluates its success condition, and maps template errors to sink errors. */
export class Shape {
  private readonly bodies: BodyTemplate | null;
  private readonly urls: UrlTemplate | null;
  private readonly condition: SuccessCondition | null;
  /** Deliveries whose last rendering timed out. */
  private readonly timedOut = new Set<string>();

  constructor(private readonly settings: ShapeSettings) {
    const { URL, TEMPLATE, CONTENT_TYPE, SUCCESS } = settings;
    this.bodies = TEMPLATE === undefined ? null : new BodyTemplate(TEMPLATE, CONTENT_TYPE);
    this.urls = liquidAt(URL) < 0 ? null : new UrlTemplate(URL);
    this.condition = SUCCESS === undefined ? null : new SuccessCondition(SUCCESS);
  }

  /** @returns `null` to skip the delivery @throws SinkError */
  body(delivery: Delivery): string | null {
    const { bodies } = this;
    return bodies ? this.rendered('TEMPLATE', delivery.id, () => bodies.render(delivery)) : JSON.stringify(delivery.event);
  }

  /** @throws SinkError */
  url(delivery: Delivery): string {
    const { urls } = this;
    return urls ? this.rendered('URL', delivery.id, () => urls.render(delivery)) : this.settings.URL;
  }

  /** Refines the outcome that follows from the status: a missing record or an unmet success condition is refused. */
  failureOf({ status, body }: { status: number; body: string }, byStatus: SinkError | null): SinkError | null {
    const isMissing = this.urls && byStatus instanceof Misconfigured && (status === 404 || status === 410);
    if (isMissing) return byStatus.as(Refused, ['no_record']);
    if (byStatus || !this.condition || this.condition.holds(status, body)) return byStatus;
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
