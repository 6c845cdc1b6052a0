import type { Door, ReportSink } from '../../report-sink.js';
import type { SinkContext } from '../../sink.js';
import { Clicks, challengeOf, idsOf, isSignedBySlack, payloadOf, stampOf } from './clicks.js';
import type { Words } from '../words/en.js';
import type { SlackSettings } from '../slack.settings.js';

const reconnectMs = 1000;

type Settings = Pick<SlackSettings, 'SIGNING_SECRET' | 'APP_TOKEN' | 'ALLOWED_USERS' | 'API_URL' | 'TIMEOUT_MS'>;

/** The part of a sink that takes what people click on its cards: over HTTP with a signing secret, over Socket Mode with an app token. */
export async function buttons(
  { SIGNING_SECRET, APP_TOKEN, ALLOWED_USERS = [], API_URL: apiUrl, TIMEOUT_MS: timeoutMs }: Settings,
  texts: Words['clicks'],
  { name, now, warn, proxies, actions, clicked }: SinkContext,
): Promise<Pick<ReportSink, 'listen' | 'door' | 'clicked' | 'close'>> {
  if (SIGNING_SECRET === undefined && APP_TOKEN === undefined) return {};
  const clicks = new Clicks({ sink: name, allowedUsers: ALLOWED_USERS, texts, apiUrl, timeoutMs, proxies }, actions, warn);
  const taking: Pick<ReportSink, 'door' | 'clicked'> = {
    ...(SIGNING_SECRET !== undefined && { door: doorOf(SIGNING_SECRET, now, clicked) }),
    clicked(payload, credential, isNew) {
      if (credential === SIGNING_SECRET || credential === APP_TOKEN) clicks.take(payload, isNew);
    },
  };
  if (APP_TOKEN === undefined) return { ...taking, close: () => clicks.close() };
  const [{ Socket }, { SocketModeClient }] = await Promise.all([import('./socket.js'), import('@slack/socket-mode')]);
  const overSocket = (payload: unknown): void => clicked(payload, APP_TOKEN, idsOf(payload));
  const socket = new Socket(
    { appToken: APP_TOKEN, apiUrl, timeoutMs, pauseMs: reconnectMs, proxies, now },
    overSocket,
    warn,
    SocketModeClient,
  );
  return { ...taking, listen: () => socket.listen(), close: () => (socket.close(), clicks.close()) };
}

/** Over HTTP: what is signed with the secret of the app. */
function doorOf(secret: string, now: () => number, clicked: SinkContext['clicked']): Door {
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
