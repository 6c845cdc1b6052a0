import type { Proxies } from '../outgoing/proxies.js';
import type { Clean } from '../settings/cleaner.js';
import type { SettingsClass } from '../settings/setting.js';
import type { Lookup } from './lookup.js';
import type { InteractionAnswer, ReportSink } from './report-sink.js';
import type { SearchSink } from './search-sink.js';
import type { SinkSettings } from './settings.js';
import type { Actions, BulkSink, Checkable, Mode, SingleSink } from './sink.js';

/** What deliveries go to. */
export type Sink = SingleSink | BulkSink | SearchSink | ReportSink;
/** A sink as its type opens it. */
export type OpenSink = Sink & Checkable;

/** What a sink may use of the process: handed in, so that tests can hand in their own. */
export interface SinkContext {
  /** The sink's name, lower case. */
  name: string;
  /** The apps whose webhooks are taken. */
  sdkAppIds: readonly string[];
  now: () => number;
  warn: (message: string) => void;
  /** What the environment says of proxies: every connection is made by `outgoing`, which obeys it. */
  proxies: Proxies;
  /** Takes every secret of the settings out of what a target answered. */
  clean: Clean;
  actions: Actions;
  /** The value of the header `traceparent` for a change; absent while nothing is traced. */
  traceparent?: (changeId: string) => string;
  /** What people may look up by way of this sink. */
  lookup: Lookup;
  /**
   * Hands an interaction to the report sink of this process that it is for: those of one app share its interactions, each of which reaches any of them.
   * @param credential what it came by: it is for the sinks that have the same
   * @param keys what it is called, here and at all replicas: it counts once by each of them
   * @returns what the sink answers; empty if there is none
   */
  interaction: (payload: unknown, credential: string, keys: readonly string[]) => Promise<InteractionAnswer>;
}

/** One type of sink: its folder exports one of these, and `sinks.ts` lists it. */
export interface SinkType<S extends SinkSettings = SinkSettings> {
  /** The word in `SINK_<NAME>_TYPE`. */
  type: string;
  /** One sentence for the pages. */
  summary: string;
  settings: SettingsClass<S>;
  mode(settings: S): Mode;
  /** What two sinks would spoil for each other: the setting that names it, and what it comes to, in one spelling; `null` if that cannot be read. */
  exclusiveTarget?: { setting: string; on: (settings: S) => string | null };
  /** Makes the sink; it connects to nothing yet, so that a dead target cannot stop the service from starting. */
  open(settings: S, context: SinkContext): Promise<OpenSink>;
}

/** Identity, for inference: checks a type's parts against each other and hides its settings class from the list. */
export function defineSink<S extends SinkSettings>(type: SinkType<S>): SinkType {
  return type as unknown as SinkType;
}
