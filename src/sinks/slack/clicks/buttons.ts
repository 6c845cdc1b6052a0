import type { ReportSink } from '../../report-sink.js';
import type { SinkContext } from '../../sink-type.js';
import type { RenderContext } from '../card/blocks.js';
import type { SlackSettings } from '../slack.settings.js';
import { interactionHandlerOf } from './http-signature.js';
import { Interactions } from './interactions.js';

/** Receives interactions: over HTTP with a signing secret, over Socket Mode with an app token. */
export async function buttons(
  settings: SlackSettings,
  rendering: RenderContext,
  context: SinkContext,
): Promise<Pick<ReportSink, 'listen' | 'interactionHandler' | 'interaction' | 'close'>> {
  const { SIGNING_SECRET, APP_TOKEN } = settings;
  if (SIGNING_SECRET === undefined && APP_TOKEN === undefined) return {};
  const interactions = new Interactions(settings, rendering, context);
  const socket = APP_TOKEN === undefined ? null : new (await import('./socket.js')).Socket(APP_TOKEN, settings, context);
  return {
    ...(SIGNING_SECRET !== undefined && { interactionHandler: interactionHandlerOf(SIGNING_SECRET, context) }),
    ...(socket && { listen: () => socket.listen() }),
    interaction: (payload, credential, isNew) =>
      credential === SIGNING_SECRET || credential === APP_TOKEN ? interactions.take(payload, isNew) : null,
    close: () => (socket?.close(), interactions.close()),
  };
}
