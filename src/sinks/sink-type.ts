import type { Proxies } from '../outgoing/proxies.js';
import type { Clean } from '../settings/cleaner.js';
import type { SettingsClass } from '../settings/setting.js';
import type { Lookup } from './lookup.js';
import type { InteractionAnswer, ReportSink } from './report-sink.js';
import type { SinkSettings } from './settings.js';
import type { Actions, BulkSink, Checkable, Mode, SearchSink, SingleSink } from './sink.js';

export type Sink = SingleSink | BulkSink | SearchSink | ReportSink;
/** A sink as returned by its type's `open`. */
export type OpenSink = Sink & Checkable;

/** What the process provides to a sink; injectable for tests. */
export interface SinkContext {
  /** The sink's name, lower case. */
  name: string;
  sdkAppIds: readonly string[];
  now: () => number;
  warn: (message: string) => void;
  /** Proxy settings of the environment, for connections made through `outgoing`. */
  proxies: Proxies;
  /** Removes all secrets of the settings from a target's response. */
  clean: Clean;
  actions: Actions;
  /** The value of the `traceparent` header for a change; absent if tracing is off. */
  traceparent?: (changeId: string) => string;
  lookup: Lookup;
  /**
   * Routes an interaction to the report sink that it is for, since sinks with the same Slack app receive each other's interactions.
   * @param credential the credential that authenticated it; only sinks with the same one are considered
   * @param keys identify the interaction, to handle it only once across all processes
   * @returns the sink's answer; empty if no sink takes it
   */
  interaction: (payload: unknown, credential: string, keys: readonly string[]) => Promise<InteractionAnswer>;
}

/** A type of sink. Each type's folder exports one, and `sinks.ts` lists it. */
export interface SinkType<S extends SinkSettings = SinkSettings> {
  /** The value of `SINK_<NAME>_TYPE`. */
  type: string;
  /** One sentence for the documentation. */
  summary: string;
  settings: SettingsClass<S>;
  mode(settings: S): Mode;
  /** A target that two sinks must not share: the setting that names it, and its normalized value (`null` if invalid). */
  exclusiveTarget?: { setting: string; on: (settings: S) => string | null };
  /** Creates the sink without connecting, so that an unavailable target does not prevent the service from starting. */
  open(settings: S, context: SinkContext): Promise<OpenSink>;
}

/** Identity function that lets TypeScript check a sink type against its settings class, then erases that class. */
export function defineSink<S extends SinkSettings>(type: SinkType<S>): SinkType {
  return type as unknown as SinkType;
}
