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

/** Read by nobody else; whether it exists does not matter. */
const channel = '@TOA#_channel-sync-test';

/** Whether Tencent's REST API answers for an app: one channel is read, as a comparison would. */
export async function examineApp(app: DeclaredApp, proxies: Proxies): Promise<Finding> {
  const what = `app ${app.sdkAppId}`;
  const silent = new Log('error', Date.now, () => undefined);
  const api = new VendorApi(app, proxies, new Clock(), new EngineEvents(), silent);
  try {
    await readChannels(api, [channel], () => Promise.resolve(() => undefined), new AbortController().signal);
    return ok(what, "Tencent's REST API takes the secret key and the account");
  } catch (error) {
    if (error instanceof VendorError) return failure(what, inEnglish(error.why), inEnglish(error.advice));
    throw error;
  } finally {
    api.close();
  }
}
