import type { SinkSettings } from '../sinks/settings.js';
import type { SinkType } from '../sinks/sink-type.js';
import { sinkTypes } from '../sinks/sinks.js';
import { type RawSettings, isInjected } from './environment.js';
import { cleaner } from './cleaner.js';
import { closest, closestName, normalized } from './names.js';
import { secretsIn } from './secrets.js';
import { alternatives, readClass, settingsOf } from './setting.js';

export interface DeclaredSink {
  /** Lower case. */
  name: string;
  type: SinkType;
  settings: SinkSettings;
}

const typeNames = sinkTypes.map(({ type }) => type);
const allProperties = [...new Set(sinkTypes.flatMap(propertiesOf))];
/** Variables that lack the sink's name. */
const nameless = allProperties.map(property => `SINK_${property}`);

/** The settings of a sink type, as variable suffixes; of all types if it is unknown. */
function propertiesOf(type: SinkType | undefined): string[] {
  return type ? ['TYPE', ...settingsOf(type.settings).map(({ property }) => property)] : allProperties;
}

/** A valid sink name in a variable. It cannot end in _CONTENT: SINK_CRM_CONTENT_TYPE is the content type of `crm`. */
const isName = /^[A-Z0-9_]*[A-Z0-9](?<!_CONTENT)$/;

/** The types of the declared sinks by upper-case name, sorted by name; of a misspelled type the one that was probably meant. */
function declaredIn({ texts }: RawSettings): Map<string, SinkType | undefined> {
  const declared = [...texts].flatMap(([variable, text]): [string, SinkType | undefined][] => {
    const name = /^SINK_(.+)_TYPE$/.exec(variable)?.[1] ?? '';
    // Kubernetes may inject such a variable for a port called `type` of a Service `sink-…`.
    if (!isName.test(name) || (!typeNames.includes(text) && isInjected(variable, text))) return [];
    const meant = closest(text.toLowerCase(), typeNames);
    return [[name, sinkTypes.find(({ type }) => type === meant)]];
  });
  return new Map(declared.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Every variable that a declared sink could have. */
export function sinkVariables(raw: RawSettings): string[] {
  return [...declaredIn(raw)].flatMap(([name, type]) => propertiesOf(type).map(property => `SINK_${name}_${property}`));
}

/** Candidates for a misspelled variable of an undeclared sink: the prefix may be misspelled, or `SINK` run together with the name. */
export function undeclaredVariables(variable: string): string[] {
  const ends = [/^[^_]*_(.+)$/, /^SINK(.+)$/].flatMap(head => head.exec(normalized(variable))?.[1] ?? []);
  const names = ends.flatMap(end => Array.from(end.matchAll(/_/g), ({ index }) => end.slice(0, index)));
  return names.filter(name => isName.test(name)).flatMap(name => allProperties.map(property => `SINK_${name}_${property}`));
}

/**
 * Reads the declared sinks; adds mistakes to `raw.mistakes`.
 * @param others further settings whose secrets no mistake may contain
 */
export function readSinks(raw: RawSettings, others: object): DeclaredSink[] {
  const declared = declaredIn(raw);
  // The longest name wins: SINK_CRM_EU_URL is the URL of `crm_eu` if that is declared.
  const byLength = [...declared.keys()].sort((a, b) => b.length - a.length);
  const parts = new Map(byLength.map(name => [name, new Map<string, string>()]));
  for (const [variable, text] of raw.texts) {
    if (!variable.startsWith('SINK_')) continue;
    const [, name] = /^SINK_(.+)_CONTENT_TYPE$/.exec(variable) ?? [];
    if (name !== undefined && typeNames.includes(text)) {
      const rule = `must be a content type, of the webhook sink ${name.toLowerCase()}: no sink can be called ${name.toLowerCase()}_content`;
      raw.mistakes.push(`${raw.names.get(variable)} ${rule}`);
      continue;
    }
    const owner = byLength.find(name => variable.startsWith(`SINK_${name}_`));
    const property = variable.slice(`SINK_${owner}_`.length);
    const type = owner === undefined ? undefined : declared.get(owner);
    if (owner !== undefined && propertiesOf(type).includes(property)) parts.get(owner)!.set(property, text);
    else if (!isInjected(variable, text))
      raw.mistakes.push(`${raw.names.get(variable)} ${unknownProblem(variable, owner === undefined ? null : type, property, raw)}`);
  }
  const sinks = [...declared].flatMap(([name, type]) => {
    const prefix = `SINK_${name}_`;
    // A value that could not be read has been reported already.
    if (raw.texts.get(`${prefix}TYPE`) !== type?.type && !raw.unreadable.has(`${prefix}TYPE`)) {
      const variable = raw.names.get(`${prefix}TYPE`)!;
      const contentTypes = sinkVariables(raw).filter(other => other.endsWith('_CONTENT_TYPE') && !other.startsWith(prefix));
      const near = type?.type ?? closestName(variable, contentTypes);
      raw.mistakes.push(`${variable} must be ${alternatives(typeNames)}${near === undefined ? '' : `: did you mean ${near}?`}`);
    }
    if (!type) return [];
    const { value, mistakes } = readClass(type.settings, parts.get(name)!, prefix, value => cleaner(secretsIn(others, value)));
    raw.mistakes.push(...mistakes);
    return [{ name: name.toLowerCase(), type, settings: value }];
  });
  raw.mistakes.push(...conflictsOf(sinks));
  return sinks;
}

/**
 * The problem with an unknown variable, with the probable intention; worded to follow its name.
 * @param type of the sink that the variable belongs to: `null` if there is none, `undefined` if its type is unknown
 */
function unknownProblem(variable: string, type: SinkType | null | undefined, property: string, raw: RawSettings): string {
  // Several underscores in place of a name are one.
  const name = raw.names.get(variable)!.replace(/^SINK__+/, 'SINK_');
  const near = closestName(name, sinkVariables(raw));
  if (type === null) {
    const undeclared = undeclaredVariables(variable);
    if (undeclared.includes(variable)) {
      const endings = allProperties.filter(property => variable.endsWith(`_${property}`) && variable !== `SINK_${property}`);
      const [ending] = endings.sort((a, b) => b.length - a.length);
      const declaration = `declare it with ${variable.slice(0, -ending!.length)}TYPE`;
      const whole = nameless.includes(variable) ? variable.replace('_', '_<NAME>_') : undefined;
      const other = near ?? whole;
      return `belongs to no sink: ${declaration}${other === undefined ? '' : `, or did you mean ${other}?`}`;
    }
    // Of a short property, two edits may leave nothing.
    const whole = nameless.filter(one => one === name || one.length >= 10);
    const other = closestName(name, [...sinkVariables(raw), ...whole, ...undeclared]);
    if (other === undefined) return 'belongs to no sink: declare one with SINK_<NAME>_TYPE, or correct the name';
    if (nameless.includes(other.replace(/_FILE$/, ''))) return `names no sink: write ${other.replace('_', '_<NAME>_')}`;
    return `belongs to no sink: did you mean ${other}?`;
  }
  const others = type ? sinkTypes.filter(other => propertiesOf(other).includes(property)).map(other => other.type) : [];
  if (others.length > 0) return `is not a setting of ${type!.type} sinks, only of ${others.join(', ')}`;
  const which = near === undefined ? '' : `: did you mean ${near}?`;
  if (!type) return `is not a setting of any sink${which}`;
  return `is not a setting of ${type.type} sinks${which || `, which have ${propertiesOf(type).join(', ')}`}`;
}

/** Mistakes about sinks that would overwrite each other's data. */
function conflictsOf(sinks: readonly DeclaredSink[]): string[] {
  const taken = new Map<string, string>();
  return sinks.flatMap(({ name, type: { exclusiveTarget }, settings }) => {
    const target = exclusiveTarget?.on(settings) ?? null;
    if (!exclusiveTarget || target === null) return [];
    const variable = `SINK_${name.toUpperCase()}_${exclusiveTarget.setting}`;
    const other = taken.get(target);
    if (other === undefined) taken.set(target, variable);
    return other === undefined ? [] : [`${variable} must be another one than ${other}, or at another URL: two sinks cannot share it`];
  });
}
