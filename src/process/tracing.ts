import { setTimeout as sleep } from 'node:timers/promises';
import type { Attributes, Context, Tracer } from '@opentelemetry/api';
import type { Sampler } from '@opentelemetry/sdk-trace';
import type { AttemptEnd } from './engine-events.js';

/** What a stop waits for the last spans, and each request for its answer. */
const exportMs = 2000;

/** Where spans go, and which. */
export interface TracingOptions {
  url: string;
  headers: Record<string, string>;
  /** A name of OpenTelemetry's; ours are always the first spans of a trace, so those that look at a parent first mean the same. */
  sampler: string;
  ratio: number;
  version: string;
}

/** One answered webhook. */
export interface AnsweredWebhook {
  /** What its change is called, if it was recorded. */
  changeId: string | undefined;
  durationMs: number;
  command: string;
  result: string;
  status: number;
}

/** Where the first span of a change stands: its id has the 128 bits that a trace needs, so nothing has to be stored for attempts to join, whenever and wherever they are made. */
interface Place {
  traceId: string;
  spanId: string;
}

function placeOf(changeId: string): Place {
  const traceId = changeId.replaceAll('-', '').toLowerCase();
  return { traceId, spanId: traceId.slice(16) };
}

interface Exporting {
  tracer: Tracer;
  root: Context;
  within(place: Place): Context;
  isSampled(place: Place): boolean;
  /** The spans that begin until it is called again stand here, or anywhere. */
  placeNext(place: Place | null): void;
  shutdown(): Promise<void>;
}

/** Spans of webhooks and attempts, one trace for each change. They hold no query, no token and no text of a profile. Without options nothing is loaded. */
export class Tracing {
  private constructor(private readonly exporting: Exporting | null) {}

  /** @param onExport called after each export with its error, or `null` */
  static async start(options: TracingOptions | null, onExport: (error: Error | null) => void): Promise<Tracing> {
    return new Tracing(options && (await load(options, onExport)));
  }

  get on(): boolean {
    return this.exporting !== null;
  }

  /** The header by which the target of an attempt joins the trace of the change. */
  traceparent(changeId: string): string {
    const place = placeOf(changeId);
    return `00-${place.traceId}-${place.spanId}-${this.exporting?.isSampled(place) ? '01' : '00'}`;
  }

  webhook({ changeId, durationMs, command, result, status }: AnsweredWebhook): void {
    if (!this.exporting) return;
    this.exporting.placeNext(changeId === undefined ? null : placeOf(changeId));
    const attributes = { 'channel_sync.command': command, 'channel_sync.result': result, 'http.response.status_code': status };
    this.span('receive webhook', this.exporting.root, 1, Date.now() - durationMs, durationMs, attributes, status >= 400);
    this.exporting.placeNext(null);
  }

  attempt({ sink, changeId, deliveryId, outcome, tries, durationMs, startedMsAgo }: AttemptEnd): void {
    if (!this.exporting) return;
    const attributes = {
      'channel_sync.sink': sink,
      'channel_sync.delivery_id': deliveryId,
      'channel_sync.outcome': outcome,
      'channel_sync.tries': tries,
    };
    const context = this.exporting.within(placeOf(changeId));
    this.span(`deliver to ${sink}`, context, 2, Date.now() - startedMsAgo, durationMs, attributes, outcome !== 'delivered');
  }

  /** @param kind 1 is a server's, 2 a client's */
  private span(name: string, context: Context, kind: 1 | 2, startTime: number, ms: number, attributes: Attributes, failed: boolean): void {
    const span = this.exporting!.tracer.startSpan(name, { kind, startTime, attributes }, context);
    if (failed) span.setStatus({ code: 2 });
    span.end(startTime + ms);
  }

  /** Sends what is left, for a moment. */
  async close(): Promise<void> {
    if (this.exporting) await Promise.race([this.exporting.shutdown().catch(() => undefined), sleep(exportMs, undefined, { ref: false })]);
  }
}

async function load(options: TracingOptions, onExport: (error: Error | null) => void): Promise<Exporting> {
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
  const exporter = new OTLPTraceExporter({ url, headers, timeoutMillis: exportMs });
  const send = exporter.export.bind(exporter);
  exporter.export = (spans, done) =>
    send(spans, result => {
      onExport(result.code === 0 ? null : (result.error ?? new Error('no answer')));
      done(result);
    });
  const random = new sdk.RandomIdGenerator();
  let next: Place | null = null;
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'channel-sync', 'service.version': version }),
    sampler,
    idGenerator: {
      generateTraceId: () => next?.traceId ?? random.generateTraceId(),
      generateSpanId: () => next?.spanId ?? random.generateSpanId(),
    },
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter, exportTimeoutMillis: exportMs })],
  });
  const root = api.ROOT_CONTEXT;
  return {
    tracer: provider.getTracer('channel-sync', version),
    root,
    within: place => api.trace.setSpanContext(root, { ...place, traceFlags: api.TraceFlags.SAMPLED, isRemote: true }),
    isSampled: ({ traceId }) => sampler.shouldSample(root, traceId, '', 1, {}, []).decision === sdk.SamplingDecision.RECORD_AND_SAMPLED,
    placeNext: place => (next = place),
    shutdown: () => provider.shutdown(),
  };
}
