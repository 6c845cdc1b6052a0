import { inEnglish } from '../../explanations/explanation.js';
import type { Proxies } from '../../outgoing/proxies.js';
import { Clock } from '../../process/clock.js';
import { EngineEvents } from '../../process/engine-events.js';
import { Log } from '../../process/log.js';
import { VendorApi } from '../../reconcile/vendor/api.js';
import { VendorError } from '../../reconcile/vendor/error.js';
import { readChannels } from '../../reconcile/vendor/reader.js';
import type { DeclaredApp } from '../../settings/declared-apps.js';
import { type Finding, failure, ok } from './finding.js';

/** Does not need to exist. */
const channel = '@TOA#_channel-sync-test';

/** Checks that Tencent's REST API accepts an app's credentials, by reading one channel as a comparison does. */
export async function examineApp(app: DeclaredApp, proxies: Proxies): Promise<Finding> {
  const what = `app ${app.sdkAppId}`;
  const silent = new Log('error', Date.now, () => undefined);
  const unpaced = () => Promise.resolve(() => undefined);
  const api = new VendorApi(app, proxies, new Clock(), new EngineEvents(), silent, unpaced);
  try {
    await readChannels(api, [channel], new AbortController().signal);
    return ok(what, "Tencent's REST API takes the secret key and the account");
  } catch (error) {
    if (error instanceof VendorError) return failure(what, inEnglish(error.why), inEnglish(error.advice));
    throw error;
  } finally {
    api.close();
  }
}
