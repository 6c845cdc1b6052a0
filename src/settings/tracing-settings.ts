import { Matches } from 'class-validator';
import { ComparisonSettings } from './declared-apps.js';
import { type Mistake, IsUrl, Must, OneOf, Setting, decimal, isHeaders, isHttpUrl, list } from './setting.js';

/** Parses comma-separated `name=value` pairs with percent-encoded values; an invalid text is returned as it is, for the rule to reject. */
function headers(text: string): Record<string, string> | string {
  const pairs = list(text).map(pair => /^([\w!#$%&'*+.^`|~-]+)\s*=\s*([\x20-\x7e]*)$/.exec(pair));
  try {
    return Object.fromEntries(pairs.map(pair => [pair![1]!, decodeURIComponent(pair![2]!)]));
  } catch {
    return text;
  }
}

/** OpenTelemetry's own variables. Extends the comparison settings because all variables are read as one class. */
export class TracingSettings extends ComparisonSettings {
  @Setting('Where traces are sent over OTLP/HTTP; `/v1/traces` is appended. Off unless set', { example: 'http://127.0.0.1:4318' })
  @IsUrl('an http or https URL', isHttpUrl)
  @Matches(/^[^?#]*$/, { message: '$property must not have a query or fragment, since /v1/traces is appended' })
  OTEL_EXPORTER_OTLP_ENDPOINT?: string;

  @Setting('The full URL where traces are sent, instead of OTEL_EXPORTER_OTLP_ENDPOINT', { example: 'http://127.0.0.1:4318/v1/traces' })
  @IsUrl('an http or https URL', isHttpUrl)
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT?: string;

  @Setting('Headers sent with the traces: `name=value`, comma-separated, the values percent-encoded', {
    example: 'api-key=a-key-of-theirs',
    parse: headers,
    secret: true,
    lines: true,
  })
  @Must('name=value, comma-separated, the values percent-encoded', value => typeof value === 'object')
  @Must('headers that HTTP can carry', isHeaders)
  OTEL_EXPORTER_OTLP_HEADERS?: Record<string, string>;

  @Setting(
    'The protocol of the traces. They are sent as `http/json`, which endpoints for `http/protobuf` take too; `grpc` is not supported',
    { example: 'http/json' },
  )
  OTEL_EXPORTER_OTLP_PROTOCOL?: string;

  @Setting('The protocol of the traces, instead of OTEL_EXPORTER_OTLP_PROTOCOL', { example: 'http/json' })
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL?: string;

  @Setting('Which traces are sent: `always_on`, `always_off` or `traceidratio` (a part), each also with `parentbased_` before it', {
    default: 'parentbased_always_on',
  })
  @OneOf(['always_on', 'always_off', 'traceidratio', 'parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'])
  OTEL_TRACES_SAMPLER!: string;

  @Setting('With `traceidratio`: the share of traces that are sent, from 0 to 1', { default: '1', parse: decimal })
  @Must('a number from 0 to 1', value => Number(value) >= 0 && Number(value) <= 1)
  OTEL_TRACES_SAMPLER_ARG!: number;

  static check(settings: TracingSettings): Mistake[] {
    const names = ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'] as const;
    const name = names.find(one => settings[one] !== undefined);
    if (settings.tracesUrl === undefined || name === undefined || /^http\/(json|protobuf)$/.test(settings[name]!)) return [];
    return [[name, 'must be http/json: traces are sent as JSON over HTTP, usually to port 4318']];
  }

  /** Where traces are sent; `undefined` if they are off. */
  get tracesUrl(): string | undefined {
    const base = this.OTEL_EXPORTER_OTLP_ENDPOINT?.replace(/\/$/, '');
    return this.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base === undefined ? undefined : `${base}/v1/traces`);
  }
}
