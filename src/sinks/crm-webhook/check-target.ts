import { reach } from '../../outgoing/reach.js';
import { SinkError } from '../errors.js';
import type { Checkable } from '../sink.js';
import type { SinkContext } from '../sink-type.js';
import type { CrmWebhookSettings } from './crm-webhook.settings.js';
import type { OAuthToken } from './oauth.js';

/** Checks the token endpoint and the connection to the target. Sends it no request, so path and credentials stay unverified. */
export function checkTarget(settings: CrmWebhookSettings, { proxies }: SinkContext, oauth: OAuthToken | null): Checkable['check'] {
  const { URL: url, CA: ca, CERT: cert, KEY: key } = settings;
  return async signal => {
    const [target, token] = await Promise.allSettled([reach(url, proxies, { ca, cert, key }, signal), oauth?.get(signal)]);
    const errors: unknown[] = [target, token].flatMap(result => (result.status === 'rejected' ? [result.reason] : []));
    const problems = errors.filter(error => error instanceof SinkError);
    if (problems.length < errors.length) throw errors.find(error => !(error instanceof SinkError));
    const isProxy = target.status === 'fulfilled' && target.value === 'proxy';
    const summary = isProxy ? 'its proxy is reachable; the target behind it, its path' : 'reachable; its path';
    return { problems, summary: `${summary} and credentials are not tried until the first delivery or \`test\`` };
  };
}
