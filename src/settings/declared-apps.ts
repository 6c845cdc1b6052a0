import { IsPositive, Matches, Max } from 'class-validator';
import { type RawSettings, isInjected } from './environment.js';
import { closestName } from './names.js';
import { IsUrl, Must, Setting, decimal, duration, isBaseUrl, readClass, settingsOf } from './setting.js';

const NoControls = Matches(/^[^\p{C}]+$/u, { message: '$property must have no control characters' });

/** Access to the vendor's REST API for one app (Tencent Cloud, product 1047, document 34620). */
export class AppSettings {
  @Setting(
    "The app's secret key (console: Basic configuration). With it, channels are compared with Tencent over its REST API; it signs each UserSig",
    { required: true, secret: true, example: 'the-secret-key-of-the-app' },
  )
  @Matches(/^[^\s\p{C}]+$/u, { message: '$property must have no blanks and no control characters' })
  SECRET_KEY!: string;

  @Setting('An admin account of the app, used for reading', { default: 'administrator' })
  @NoControls
  IDENTIFIER!: string;

  @Setting("The API's address for the app's region, such as `https://adminapisgp.im.qcloud.com`; `http://` is allowed", {
    default: 'https://console.tim.qq.com',
  })
  @IsUrl('an http or https URL without user, query and #', isBaseUrl)
  REST_URL!: string;

  @Setting(
    'A user who is subscribed to every channel of the app: channels of its list that are not known yet are imported at each comparison',
    { example: 'channel-sync' },
  )
  @NoControls
  DISCOVER_AS?: string;
}

export class ComparisonSettings {
  @Setting(
    'How often all channels of each app that has a secret key are compared with Tencent: a whole number and s, m, h or d, 10s at least, or off, which stops the schedule only',
    { default: '24h', parse: text => (text === 'off' ? null : duration(text)) },
  )
  @Must('off, or a whole number and s, m, h or d, such as 24h, and 10s at least', every => every === null || Number(every) >= 10_000)
  COMPARE_EVERY!: number | null;

  @Setting("Calls to Tencent's REST API per second and app, over all processes together; may be a fraction", {
    default: '5',
    parse: decimal,
  })
  @IsPositive({ message: '$property must be a number above 0, such as 5 or 0.5' })
  @Max(200)
  COMPARE_RATE_PER_SECOND!: number;
}

/** An app whose channels are compared with the vendor's API. */
export interface DeclaredApp {
  sdkAppId: string;
  settings: AppSettings;
}

const properties = settingsOf(AppSettings).map(({ property }) => property);

/** Every variable that these apps could have. */
export function appVariables(sdkAppIds: readonly string[]): string[] {
  return sdkAppIds.flatMap(id => properties.map(property => `APP_${id}_${property}`));
}

export function isAppVariable(name: string): boolean {
  return /^APP_\d+_/.test(name);
}

/** Reads the apps that have at least one variable; adds mistakes to `raw.mistakes`. */
export function readApps(raw: RawSettings, sdkAppIds: readonly string[]): DeclaredApp[] {
  const known = appVariables(sdkAppIds);
  for (const [variable, text] of raw.texts)
    if (isAppVariable(variable) && !known.includes(variable) && !isInjected(variable, text))
      raw.mistakes.push(unknownVariable(raw.names.get(variable)!, sdkAppIds));
  return [...new Set(sdkAppIds)].flatMap(sdkAppId => {
    const prefix = `APP_${sdkAppId}_`;
    const given = [...raw.texts].filter(([variable]) => variable.startsWith(prefix) && known.includes(variable));
    if (given.length === 0) return [];
    const texts = new Map(given.map(([variable, text]) => [variable.slice(prefix.length), text]));
    const { value, mistakes } = readClass(AppSettings, texts, prefix);
    raw.mistakes.push(...mistakes);
    return [{ sdkAppId, settings: value }];
  });
}

function unknownVariable(name: string, sdkAppIds: readonly string[]): string {
  const near = closestName(name, appVariables(sdkAppIds));
  const which = near === undefined ? '' : `: did you mean ${near}?`;
  if (!sdkAppIds.some(id => name.startsWith(`APP_${id}_`))) return `${name} belongs to no app of SDK_APP_IDS${which}`;
  return `${name} is no setting of an app${which === '' ? `, which has ${properties.join(', ')}` : which}`;
}
