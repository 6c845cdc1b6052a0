import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { firstSeen } from '../database/seen.js';
import { SharedClock } from '../process/clock.js';
import { Log } from '../process/log.js';
import { Tracing } from '../process/tracing.js';
import { type Clean, cleaner } from '../settings/cleaner.js';
import { secretsOf } from '../settings/secrets.js';
import { Settings } from '../settings/settings.js';
import type { Filters } from './filters.js';
import { Lookups } from './lookup.js';
import type { InteractionHandler, ReportSink } from './report-sink.js';
import type { SinkSettings } from './settings.js';
import { Actions, type Checkable, type SearchSink } from './sink.js';
import type { OpenSink, Sink, SinkContext } from './sink-type.js';
import { type RegisteredSink, registerSinks } from './registry.js';

/** An open, registered sink of this process. */
export interface ServedSink<S extends Sink = Sink> extends RegisteredSink {
  sink: S & Checkable;
  settings: SinkSettings;
}

/** The configured sinks: opened at the start, registered once the database is available. */
@Injectable()
export class ServedSinks {
  readonly opened: OpenSink[] = [];
  /** The same sinks once registered; empty before. */
  all: readonly ServedSink[] = [];
  private readonly clean: Clean;

  constructor(
    private readonly settings: Settings,
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly log: Log,
    private readonly actions: Actions,
    private readonly lookups: Lookups,
    private readonly tracing: Tracing,
  ) {
    this.clean = cleaner(secretsOf(settings));
  }

  get reports(): ServedSink<ReportSink>[] {
    return this.all.filter((served): served is ServedSink<ReportSink> => 'report' in served.sink);
  }

  get searches(): ServedSink<SearchSink>[] {
    return this.all.filter((served): served is ServedSink<SearchSink> => 'compare' in served.sink);
  }

  get interactionHandlers(): InteractionHandler[] {
    return this.opened.flatMap(sink => ('report' in sink ? (sink.interactionHandler ?? []) : []));
  }

  /** Opens the sinks; none of them connects yet. */
  async open(): Promise<void> {
    for (const { name, type, settings } of this.settings.sinks) this.opened.push(await type.open(settings, this.contextOf(name, settings)));
  }

  async register(): Promise<void> {
    const configured = this.settings.sinks.map(({ name, type, settings }, index) => {
      const sink = this.opened[index]!;
      const shows = 'report' in sink && { report: { holdMs: sink.holdMs, edits: sink.edits } };
      return { name, type: type.type, mode: type.mode(settings), filters: filtersOf(settings), ...shows };
    });
    const registered = await registerSinks(this.database, configured, this.clock.now());
    this.all = registered.map((row, index) => ({ ...row, sink: this.opened[index]!, settings: this.settings.sinks[index]!.settings }));
  }

  private contextOf(name: string, settings: SinkSettings): SinkContext {
    return {
      name,
      sdkAppIds: this.settings.SDK_APP_IDS,
      now: () => this.clock.now(),
      warn: message => this.log.warn(message, { sink: name }),
      proxies: this.settings.proxies,
      clean: this.clean,
      actions: this.actions,
      ...(this.tracing.isOn && { traceparent: (changeId: string) => this.tracing.traceparent(changeId) }),
      lookup: this.lookups.within(filtersOf(settings)),
      interaction: (payload, credential, keys) => {
        const isNew = firstSeen(this.database, keys, this.clock.now());
        // Handled by the sink that takes the interaction; not an unhandled rejection if none does.
        isNew.catch(() => undefined);
        for (const sink of this.opened) {
          const answer = 'report' in sink ? sink.interaction?.(payload, credential, isNew) : null;
          if (answer) return answer;
        }
        return Promise.resolve('');
      },
    };
  }
}

function filtersOf({ FIELDS, CHANNELS, SDK_APP_IDS }: SinkSettings): Filters {
  return { ...(FIELDS && { fields: FIELDS }), ...(CHANNELS && { channels: CHANNELS }), ...(SDK_APP_IDS && { sdkAppIds: SDK_APP_IDS }) };
}
