import type { SinkSettings } from '../sinks/settings.js';
import type { SinkType } from '../sinks/sink-type.js';
import { sinkTypes } from '../sinks/sinks.js';
import { type Given, isInjected } from './environment.js';
import { cleaner } from './cleaner.js';
import { meant, spelled } from './names.js';
import { secretsIn } from './secrets.js';
import { readClass, settingsOf } from './setting.js';

/** One sink that the environment declares. */
export interface DeclaredSink {
  /** Lower case. */
  name: string;
  type: SinkType;
  settings: SinkSettings;
}

const allProperties = [...new Set(sinkTypes.flatMap(propertiesOf))];

/** How variables of a sink of this type can end; of an unknown type, those of any. */
function propertiesOf(type: SinkType | undefined): string[] {
  return type ? ['TYPE', ...settingsOf(type.settings).map(({ property }) => property)] : allProperties;
}

/** The name of a sink in a variable: SINK_CRM_CONTENT_TYPE is the content type of crm. */
const isName = /^[A-Z0-9_]*[A-Z0-9](?<!_CONTENT)$/;

/** The types of the declared sinks by their names, upper case, in their order. */
function declaredIn({ texts }: Given): Map<string, SinkType | undefined> {
  const declared = [...texts].flatMap(([variable, text]): [string, SinkType | undefined][] => {
    const name = /^SINK_(.+)_TYPE$/.exec(variable)?.[1] ?? '';
    const type = sinkTypes.find(one => one.type === text);
    // Of a Service called `sink-crm` a port may be called `type`.
    return isName.test(name) && (type || !isInjected(variable, text)) ? [[name, type]] : [];
  });
  return new Map(declared.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** Every variable that would be one of a declared sink. */
export function sinkVariables(given: Given): string[] {
  return [...declaredIn(given)].flatMap(([name, type]) => propertiesOf(type).map(property => `SINK_${name}_${property}`));
}

/** Every variable of some sink, declared or not, that could have been meant: whatever stands before the first `_`, and with `SINK` written together with the name. */
export function undeclaredVariables(variable: string): string[] {
  const ends = [/^[^_]*_(.+)$/, /^SINK(.+)$/].flatMap(head => head.exec(spelled(variable))?.[1] ?? []);
  const names = ends.flatMap(end => Array.from(end.matchAll(/_/g), ({ index }) => end.slice(0, index)));
  return names.filter(name => isName.test(name)).flatMap(name => allProperties.map(property => `SINK_${name}_${property}`));
}

/**
 * Reads what is declared; what is wrong with it joins the other mistakes.
 * @param others settings whose secrets no mistake may show
 */
export function readSinks(given: Given, others: object): DeclaredSink[] {
  const declared = declaredIn(given);
  // The longest name wins: SINK_CRM_EU_URL is the URL of crm_eu, if there is one.
  const byLength = [...declared.keys()].sort((one, other) => other.length - one.length);
  const parts = new Map(byLength.map(name => [name, new Map<string, string>()]));
  for (const [variable, text] of given.texts) {
    if (!variable.startsWith('SINK_')) continue;
    const [, name] = /^SINK_(.+)_CONTENT_TYPE$/.exec(variable) ?? [];
    if (name !== undefined && sinkTypes.some(one => one.type === text)) {
      const rule = `must be a content type, of the webhook sink ${name.toLowerCase()}: no sink can be called ${name.toLowerCase()}_content`;
      given.mistakes.push(`${given.names.get(variable)} ${rule}`);
      continue;
    }
    const owner = byLength.find(name => variable.startsWith(`SINK_${name}_`));
    const property = variable.slice(`SINK_${owner}_`.length);
    const type = owner === undefined ? undefined : declared.get(owner);
    if (owner !== undefined && (!type || propertiesOf(type).includes(property))) parts.get(owner)!.set(property, text);
    else if (!isInjected(variable, text)) given.mistakes.push(`${given.names.get(variable)} ${strange(variable, type, property, given)}`);
  }
  const sinks = [...declared].flatMap(([name, type]) => {
    const prefix = `SINK_${name}_`;
    if (!type) {
      const variable = given.names.get(`${prefix}TYPE`)!;
      const near = meant(
        variable,
        sinkVariables(given).filter(one => one.endsWith('_CONTENT_TYPE') && !one.startsWith(prefix)),
      );
      const types = sinkTypes.map(one => one.type).join(', ');
      // What is wrong with one that could not be read is a mistake already.
      if (!given.unreadable.has(`${prefix}TYPE`))
        given.mistakes.push(`${variable} must be one of ${types}${near === undefined ? '' : `, or did you mean ${near}?`}`);
      return [];
    }
    const { value, mistakes } = readClass(type.settings, parts.get(name)!, prefix, value => cleaner(secretsIn(others, value)));
    given.mistakes.push(...mistakes);
    return [{ name: name.toLowerCase(), type, settings: value }];
  });
  given.mistakes.push(...clashesOf(sinks));
  return sinks;
}

/** What is wrong with a variable that is no setting of a declared sink, and which was meant. */
function strange(variable: string, type: SinkType | undefined, property: string, given: Given): string {
  const near = meant(given.names.get(variable)!, sinkVariables(given));
  if (!type) {
    const undeclared = undeclaredVariables(variable);
    if (undeclared.includes(variable)) {
      const ending = allProperties.filter(one => variable.endsWith(`_${one}`)).sort((one, other) => other.length - one.length)[0]!;
      const declaration = `declare it with ${variable.slice(0, -ending.length)}TYPE`;
      return `belongs to no sink: ${declaration}${near === undefined ? '' : `, or did you mean ${near}?`}`;
    }
    const other = near ?? meant(given.names.get(variable)!, undeclared);
    return `belongs to no sink: ${other === undefined ? 'declare one with SINK_<NAME>_TYPE, or correct the name' : `did you mean ${other}?`}`;
  }
  const others = sinkTypes.filter(one => propertiesOf(one).includes(property)).map(one => one.type);
  if (others.length > 0) return `is not a setting of ${type.type} sinks, only of ${others.join(', ')}`;
  return `is not a setting of ${type.type} sinks${near === undefined ? `, which have ${propertiesOf(type).join(', ')}` : `: did you mean ${near}?`}`;
}

/** Sinks that would spoil what they write for each other. */
function clashesOf(sinks: readonly DeclaredSink[]): string[] {
  const taken = new Map<string, string>();
  return sinks.flatMap(({ name, type: { exclusiveTarget: alone }, settings }) => {
    const what = alone?.on(settings) ?? null;
    if (!alone || what === null) return [];
    const variable = `SINK_${name.toUpperCase()}_${alone.setting}`;
    const other = taken.get(what);
    if (other === undefined) taken.set(what, variable);
    return other === undefined ? [] : [`${variable} must be another one than ${other}, or at another URL: two sinks cannot share it`];
  });
}
