import type { Door, ReportSink } from '../../report-sink.js';
import type { SinkContext } from '../../sink-type.js';
import { Clicks, challengeOf, idsOf, isSignedBySlack, payloadOf, stampOf } from './clicks.js';
import type { Words } from '../words/en.js';
import type { SlackSettings } from '../slack.settings.js';

/** The part of a sink that takes what people click on its cards: over HTTP with a signing secret, over Socket Mode with an app token. */
export async function buttons(
  settings: SlackSettings,
  texts: Words['clicks'],
  context: SinkContext,
): Promise<Pick<ReportSink, 'listen' | 'door' | 'clicked' | 'close'>> {
  const { SIGNING_SECRET, APP_TOKEN } = settings;
  if (SIGNING_SECRET === undefined && APP_TOKEN === undefined) return {};
  const clicks = new Clicks(settings, texts, context);
  const socket = APP_TOKEN === undefined ? null : new (await import('./socket.js')).Socket(APP_TOKEN, settings, context);
  return {
    ...(SIGNING_SECRET !== undefined && { door: doorOf(SIGNING_SECRET, context) }),
    ...(socket && { listen: () => socket.listen() }),
    clicked(payload, credential, isNew) {
      if (credential === SIGNING_SECRET || credential === APP_TOKEN) clicks.take(payload, isNew);
    },
    close: () => (socket?.close(), clicks.close()),
  };
}

/** Over HTTP: what is signed with the secret of the app. */
function doorOf(secret: string, { now, clicked }: SinkContext): Door {
  return {
    admits: headers => stampOf(headers, now()) !== null,
    take: (body, headers) => {
      if (!isSignedBySlack(body, headers, secret, now())) return null;
      const payload = payloadOf(body.toString());
      clicked(payload, secret, [String(headers['x-slack-signature']), ...idsOf(payload)]);
      return challengeOf(payload) ?? '';
    },
  };
}
