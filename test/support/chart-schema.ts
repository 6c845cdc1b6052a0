import { getMetadataStorage } from 'class-validator';
import { AppSettings } from '../../src/settings/declared-apps.js';
import { proxyVariables } from '../../src/outgoing/proxies.js';
import { sinkTypes } from '../../src/sinks/sinks.js';
import { type DeclaredSetting, type SettingsClass, settingsOf } from '../../src/settings/setting.js';
import { Settings } from '../../src/settings/settings.js';

/** What the chart sets itself, as its ports and volumes are. */
const ofTheChart = ['PORT', 'MANAGEMENT_PORT', 'SPOOL_DIR', 'DATABASE_URL'];
/** YAML reads an id as a number, and numbers beyond this are not exact. */
const scalar = { type: ['string', 'number'], maximum: Number.MAX_SAFE_INTEGER };

/** The words that a setting may have, if its rule lists them. */
function wordsOf(settingsClass: SettingsClass, property: string): readonly string[] | undefined {
  const rules = getMetadataStorage().getTargetValidationMetadatas(settingsClass, '', false, false);
  const rule = rules.find(one => one.propertyName === property && one.name === 'isIn' && !one.each);
  return rule?.constraints[0] as readonly string[] | undefined;
}

function schemaOf(settingsClass: SettingsClass, { property, meaning, default: fallback }: DeclaredSetting): object {
  const words = wordsOf(settingsClass, property);
  return { description: meaning, ...(words ? { enum: words } : scalar), ...(fallback === undefined ? {} : { default: fallback }) };
}

/** The settings of all sinks by the ends of their names. */
const ofSinks = new Map(
  sinkTypes.flatMap(({ settings }) => settingsOf(settings).map(setting => [setting.property, { settings, setting }] as const)),
);
const sinkName = (property: string): string => `^SINK_[A-Z0-9_]*[A-Z0-9]_${property}$`;
/** Those of apps, likewise. */
const ofApps = settingsOf(AppSettings);
const appName = (property: string): string => `^APP_[0-9]+_${property}$`;

/** A secret belongs into a Secret; the URL of a target is one only if it holds a password. */
function mayBeShown({ property, secret }: DeclaredSetting): boolean {
  return !secret || property === 'URL';
}

/** `settings` of values.yaml. */
function settingsSchema(): object {
  const own = settingsOf(Settings).filter(({ property }) => !ofTheChart.includes(property));
  const sinks = [...ofSinks.values()].filter(({ setting }) => mayBeShown(setting));
  const named = [...[...ofSinks.keys()].map(sinkName), ...ofApps.map(({ property }) => appName(property))];
  const files = [...own.map(({ property }) => property), ...named.map(name => name.slice(1, -1))];
  // SINK_CRM_CONTENT_TYPE ends like the type of a sink called crm_content, and has a slash.
  const types = `^(${sinkTypes.map(({ type }) => type).join('|')})$|/`;
  return {
    type: 'object',
    additionalProperties: false,
    required: ['SDK_APP_IDS'],
    properties: Object.fromEntries([
      ...own.filter(mayBeShown).map(setting => [setting.property, schemaOf(Settings, setting)]),
      ...proxyVariables.map(name => [
        name,
        { description: 'A proxy of outgoing connections; one with a password belongs into `secrets`', ...scalar },
      ]),
    ]),
    patternProperties: Object.fromEntries([
      [sinkName('TYPE'), { description: 'Declares a sink', type: 'string', pattern: types }],
      ...sinks.map(({ settings, setting }) => [sinkName(setting.property), schemaOf(settings, setting)]),
      ...ofApps.filter(mayBeShown).map(setting => [appName(setting.property), schemaOf(AppSettings, setting)]),
      [`^(${files.join('|')})_FILE$`, { description: 'A path, below one of `extraVolumeMounts`', type: 'string' }],
    ]),
  };
}

/** What may be a key of `secrets`, and of the existing Secret. */
function secretName(): object {
  const own = settingsOf(Settings).map(({ property }) => property);
  return {
    anyOf: [
      { enum: [...own.filter(name => name === 'DATABASE_URL' || !ofTheChart.includes(name)), ...proxyVariables] },
      { pattern: `^SINK_[A-Z0-9_]*[A-Z0-9]_(${[...ofSinks.keys()].join('|')})$` },
      { pattern: `^APP_[0-9]+_(${ofApps.map(({ property }) => property).join('|')})$` },
    ],
  };
}

/** The chart's schema with its parts about settings made anew. */
export function chartSchemaWith(schema: string): string {
  const whole = JSON.parse(schema) as { definitions: object };
  whole.definitions = { ...whole.definitions, settings: settingsSchema(), secretName: secretName() };
  return `${JSON.stringify(whole, null, 2)}\n`;
}
