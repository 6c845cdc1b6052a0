import type { ReportSink, SinkContext } from '../sink.js';
import { Clicks, isSignedBySlack, payloadOf } from './clicks.js';
import type { Words } from './en.js';
import type { SlackSettings } from './slack.settings.js';

const reconnectMs = 1000;

type Settings = Pick<SlackSettings, 'SIGNING_SECRET' | 'APP_TOKEN' | 'ALLOWED_USERS' | 'API_URL' | 'TIMEOUT_MS'>;

/** The part of a sink that takes what people click on its cards: over HTTP with a signing secret, over Socket Mode with an app token. */
export async function buttons(
  { SIGNING_SECRET, APP_TOKEN, ALLOWED_USERS = [], API_URL: apiUrl, TIMEOUT_MS: timeoutMs }: Settings,
  texts: Words['clicks'],
  { name, now, warn, proxies, actions, clicked }: SinkContext,
): Promise<Pick<ReportSink, 'listen' | 'interact' | 'clicked' | 'close'>> {
  if (SIGNING_SECRET === undefined && APP_TOKEN === undefined) return {};
  const clicks = new Clicks({ sink: name, allowedUsers: ALLOWED_USERS, texts, apiUrl, timeoutMs, proxies }, actions, warn);
  const overHttp: Pick<ReportSink, 'interact'> =
    SIGNING_SECRET === undefined
      ? {}
      : {
          interact: (body, headers) => {
            if (!isSignedBySlack(body, headers, SIGNING_SECRET, now())) return false;
            clicked(payloadOf(body));
            return true;
          },
        };
  const taking = { ...overHttp, clicked: (payload: unknown) => clicks.take(payload) };
  if (APP_TOKEN === undefined) return { ...taking, close: () => clicks.close() };
  const [{ Socket }, { SocketModeClient }] = await Promise.all([import('./socket.js'), import('@slack/socket-mode')]);
  const socket = new Socket(
    { appToken: APP_TOKEN, apiUrl, timeoutMs, pauseMs: reconnectMs, proxies, now },
    clicked,
    warn,
    SocketModeClient,
  );
  return { ...taking, listen: () => socket.listen(), close: () => (socket.close(), clicks.close()) };
}
