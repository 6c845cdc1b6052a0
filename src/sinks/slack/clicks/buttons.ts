import type { Door, ReportSink } from '../../report-sink.js';
import type { SinkContext } from '../../sink-type.js';
import type { RenderContext } from '../card/blocks.js';
import { answerTo } from '../lookup/command.js';
import { DetailsModal } from '../lookup/details-modal.js';
import { HomeTab } from '../lookup/home-tab.js';
import type { SlackSettings } from '../slack.settings.js';
import { Clicks, challengeOf, idsOf, isSignedBySlack, payloadOf, stampOf } from './clicks.js';
import { Commands, commandOf } from './commands.js';
import { mayAct } from './people.js';

/** The part of a sink that takes what people click and type: over HTTP with a signing secret, over Socket Mode with an app token. */
export async function buttons(
  settings: SlackSettings,
  rendering: RenderContext,
  context: SinkContext,
): Promise<Pick<ReportSink, 'listen' | 'door' | 'interaction' | 'close'>> {
  const { SIGNING_SECRET, APP_TOKEN } = settings;
  if (SIGNING_SECRET === undefined && APP_TOKEN === undefined) return {};
  const texts = rendering.words.clicks;
  const home = new HomeTab(settings, rendering, context);
  const clicks = new Clicks(settings, texts, context, home, new DetailsModal(settings, rendering, context));
  const commands = new Commands(settings, texts, context, command =>
    answerTo(command, context.lookup, { ...rendering, buttons: mayAct({ ...command, stranger: false }, settings) }),
  );
  const socket = APP_TOKEN === undefined ? null : new (await import('./socket.js')).Socket(APP_TOKEN, settings, context);
  return {
    ...(SIGNING_SECRET !== undefined && { door: doorOf(SIGNING_SECRET, context) }),
    ...(socket && { listen: () => socket.listen() }),
    interaction(payload, credential, isNew) {
      if (credential !== SIGNING_SECRET && credential !== APP_TOKEN) return null;
      if (clicks.take(payload, isNew)) return Promise.resolve('');
      if (settings.WEBHOOK_URL !== undefined) return null;
      if (clicks.opened(payload, isNew)) return Promise.resolve('');
      const command = commandOf(payload);
      return command && commands.take(command, isNew);
    },
    close: () => (socket?.close(), commands.close(), clicks.close()),
  };
}

/** Over HTTP: what is signed with the secret of the app. */
function doorOf(secret: string, { now, interaction }: SinkContext): Door {
  return {
    admits: headers => stampOf(headers, now()) !== null,
    take: (body, headers) => {
      if (!isSignedBySlack(body, headers, secret, now())) return null;
      const payload = payloadOf(body.toString());
      const challenge = challengeOf(payload);
      const answer = interaction(payload, secret, [String(headers['x-slack-signature']), ...idsOf(payload)]);
      return challenge === null ? answer : Promise.resolve(challenge);
    },
  };
}
