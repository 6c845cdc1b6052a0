import { reach } from '../../outgoing/reach.js';
import type { Checkable } from '../sink.js';
import type { SinkContext } from '../sink-type.js';
import type { CrmWebhookSettings } from './crm-webhook.settings.js';

/** Looks whether the target can be connected to: no request goes to it, so that its path and our credentials for it stay unknown. */
export function checkTarget(settings: CrmWebhookSettings, { proxies }: SinkContext): Checkable['check'] {
  const { URL: url, CA: ca, CERT: cert, KEY: key } = settings;
  return async signal => {
    const reached = await reach(url, proxies, { ca, cert, key }, signal);
    const untried = reached === 'proxy' ? 'its proxy is reachable; the target behind it, its path' : 'reachable; its path';
    return { problems: [], summary: `${untried} and credentials are not tried until the first delivery or \`test\`` };
  };
}
