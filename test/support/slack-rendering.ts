import type { SinkResult } from '../../src/sinks/report-sink.js';
import type { RenderContext } from '../../src/sinks/slack/card/blocks.js';

/** A result at a sink of which nothing more is to be told. Nothing of src is imported here but types, so that this runs without its build. */
export function resultAt(sink: string, state: SinkResult['state'], rest: Partial<SinkResult> = {}): SinkResult {
  const nothing = { reason: null, durationMs: null, nextAttemptAt: null, endedAt: null, held: null, skipped: false };
  return { sink, state, ...nothing, ...rest };
}

/** How a sink with a bot token and buttons renders its messages. */
export function renderContext(words: RenderContext['words'], rest: Partial<RenderContext> = {}): RenderContext {
  const settings = { sink: 'team', timeZone: 'UTC', threads: true, buttons: true, severalApps: false, cards: 'all' as const, mention: [] };
  return { words, ...settings, ...rest };
}
