import { setTimeout as sleep } from 'node:timers/promises';
import type { Attributes, Context } from '@opentelemetry/api';
import type { Sampler } from '@opentelemetry/sdk-trace';
import type { AttemptEnd } from './engine-events.js';

/** Timeout for each export, and for the last one on shutdown. */
const exportTimeoutMs = 2000;

export interface TracingOptions {
  url: string;
  headers: Record<string, string>;
  /** An OpenTelemetry sampler name. Our spans start their trace, so `parentbased_…` samplers behave like their root sampler. */
  sampler: string;
  ratio: number;
  version: string;
}

/** One answered webhook. */
export interface AnsweredWebhook {
  /** `undefined` if no change was recorded. */
  changeId: string | undefined;
  durationMs: number;
  command: string;
  result: string;
  status: number;
}

/** The root span of a change. Its ids derive from the 128-bit change id, so later attempts join the trace without stored state. */
interface RootSpan {
  traceId: string;
  spanId: string;
}

function rootSpanOf(changeId: string): RootSpan {
  const traceId = changeId.replaceAll('-', '').toLowerCase();
  return { traceId, spanId: traceId.slice(16) };
}

type Exporting = Awaited<ReturnType<typeof load>>;

/** Traces webhooks and attempts, one trace per change. Spans contain no query, token or profile text. Without options nothing is loaded. */
export class Tracing {
  private constructor(private readonly exporting: Exporting | null) {}

  /** @param onExport called after each export with its error, or `null` */
  static async start(options: TracingOptions | null, onExport: (error: Error | null) => void): Promise<Tracing> {
    return new Tracing(options && (await load(options, onExport)));
  }

  get isOn(): boolean {
    return this.exporting !== null;
  }

  /** The `traceparent` header for an attempt, with which its target joins the trace of the change. */
  traceparent(changeId: string): string {
    const span = rootSpanOf(changeId);
    return `00-${span.traceId}-${span.spanId}-${this.exporting?.isSampled(span) ? '01' : '00'}`;
  }

  webhook({ changeId, durationMs, command, result, status }: AnsweredWebhook): void {
    if (!this.exporting) return;
    this.exporting.setNextIds(changeId === undefined ? null : rootSpanOf(changeId));
    const attributes = { 'channel_sync.command': command, 'channel_sync.result': result, 'http.response.status_code': status };
    this.span('receive webhook', this.exporting.root, 1, Date.now() - durationMs, durationMs, attributes, status >= 400);
    this.exporting.setNextIds(null);
  }

  attempt({ sink, changeId, deliveryId, outcome, tries, durationMs, startedMsAgo }: AttemptEnd): void {
    if (!this.exporting) return;
    const attributes = {
      'channel_sync.sink': sink,
      'channel_sync.delivery_id': deliveryId,
      'channel_sync.outcome': outcome,
      'channel_sync.tries': tries,
    };
    const context = this.exporting.contextOf(rootSpanOf(changeId));
    this.span(`deliver to ${sink}`, context, 2, Date.now() - startedMsAgo, durationMs, attributes, outcome !== 'delivered');
  }

  /** @param kind 1: server, 2: client */
  private span(name: string, context: Context, kind: 1 | 2, startTime: number, ms: number, attributes: Attributes, failed: boolean): void {
    const span = this.exporting!.tracer.startSpan(name, { kind, startTime, attributes }, context);
    if (failed) span.setStatus({ code: 2 });
    span.end(startTime + ms);
  }

  /** Exports the remaining spans, within a short timeout. */
  async close(): Promise<void> {
    if (this.exporting)
      await Promise.race([this.exporting.shutdown().catch(() => undefined), sleep(exportTimeoutMs, undefined, { ref: false })]);
  }
}

async function load(options: TracingOptions, onExport: (error: Error | null) => void) {
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const { url, headers, version, ratio } = options;
  const samplers: Record<string, () => Sampler> = {
    always_on: () => new sdk.AlwaysOnSampler(),
    always_off: () => new sdk.AlwaysOffSampler(),
    traceidratio: () => new sdk.TraceIdRatioBasedSampler(ratio),
  };
  const sampler = samplers[options.sampler.replace('parentbased_', '')]!();
  const exporter = new OTLPTraceExporter({ url, headers, timeoutMillis: exportTimeoutMs });
  const send = exporter.export.bind(exporter);
  exporter.export = (spans, done) =>
    send(spans, result => {
      onExport(result.code === 0 ? null : (result.error ?? new Error('no answer')));
      done(result);
    });
  const random = new sdk.RandomIdGenerator();
  let next: RootSpan | null = null;
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'channel-sync', 'service.version': version }),
    sampler,
    idGenerator: {
      generateTraceId: () => next?.traceId ?? random.generateTraceId(),
      generateSpanId: () => next?.spanId ?? random.generateSpanId(),
    },
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter, exportTimeoutMillis: exportTimeoutMs })],
  });
  const root = api.ROOT_CONTEXT;
  return {
    tracer: provider.getTracer('channel-sync', version),
    root,
    contextOf: (span: RootSpan): Context => api.trace.setSpanContext(root, { ...span, traceFlags: api.TraceFlags.SAMPLED, isRemote: true }),
    isSampled: ({ traceId }: RootSpan): boolean =>
      sampler.shouldSample(root, traceId, '', 1, {}, []).decision === sdk.SamplingDecision.RECORD_AND_SAMPLED,
    /** Sets the ids of the spans started next; `null`: random ids. */
    setNextIds: (span: RootSpan | null): void => void (next = span),
    shutdown: (): Promise<void> => provider.shutdown(),
  };
}
