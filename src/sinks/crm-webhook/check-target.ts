import { reach } from '../../outgoing/reach.js';
import { SinkError } from '../errors.js';
import type { Checkable } from '../sink.js';
import type { SinkContext } from '../sink-type.js';
import type { CrmWebhookSettings } from './crm-webhook.settings.js';
import type { OAuthToken } from './oauth.js';

/** Looks whether there is a token for the target, and whether that can be connected to: no request goes to it, so that its path and our credentials for it stay unknown. */
export function checkTarget(settings: CrmWebhookSettings, { proxies }: SinkContext, oauth: OAuthToken | null): Checkable['check'] {
  const { URL: url, CA: ca, CERT: cert, KEY: key } = settings;
  return async signal => {
    const [target, token] = await Promise.allSettled([reach(url, proxies, { ca, cert, key }, signal), oauth?.get(signal)]);
    const errors: unknown[] = [target, token].flatMap(one => (one.status === 'rejected' ? [one.reason] : []));
    const problems = errors.filter(error => error instanceof SinkError);
    if (problems.length < errors.length) throw errors.find(error => !(error instanceof SinkError));
    const isProxy = target.status === 'fulfilled' && target.value === 'proxy';
    const untried = isProxy ? 'its proxy is reachable; the target behind it, its path' : 'reachable; its path';
    return { problems, summary: `${untried} and credentials are not tried until the first delivery or \`test\`` };
  };
}
