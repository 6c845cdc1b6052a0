import type { SinkSettings } from '../sinks/settings.js';
import type { SinkType } from '../sinks/sink.js';
import { sinkTypes } from '../sinks/sinks.js';
import { type Given, isInjected } from './environment.js';
import { meant, spelled } from './names.js';
import { readClass, settingsOf } from './setting.js';

/** One sink that the environment declares. */
export interface DeclaredSink {
  /** Lower case. */
  name: string;
  type: SinkType;
  settings: SinkSettings;
}

/** All that can be said of sinks of a type, by the end of its name. */
function propertiesOf(type: SinkType): string[] {
  return ['TYPE', ...settingsOf(type.settings).map(({ property }) => property)];
}

/** The name of a sink in a variable. */
const isName = /^[A-Z0-9_]*[A-Z0-9]$/;

const allProperties = [...new Set(sinkTypes.flatMap(propertiesOf))];

function typeOf(name: string, { texts }: Given): SinkType | undefined {
  return sinkTypes.find(one => one.type === texts.get(`SINK_${name}_TYPE`));
}

/** The names of the declared sinks, upper case. */
function declaredNames({ texts }: Given): string[] {
  const declared = [...texts].filter(
    // Of a Service called `sink-crm` a port may be called `type`.
    ([name, text]) => !isInjected(name, text) || sinkTypes.some(({ type }) => type === text),
  );
  return declared.flatMap(([name]) => /^SINK_([A-Z0-9_]*[A-Z0-9])_TYPE$/.exec(name)?.[1] ?? []).sort();
}

/** Every variable that would be one of a declared sink. */
export function sinkVariables(given: Given): string[] {
  return declaredNames(given).flatMap(name => {
    const type = typeOf(name, given);
    return (type ? propertiesOf(type) : allProperties).map(property => `SINK_${name}_${property}`);
  });
}

/** Every variable of some sink, declared or not, that could have been meant: whatever stands before the first `_`, and with `SINK` written together with the name. */
export function undeclaredVariables(variable: string): string[] {
  const ends = [/^[^_]*_(.+)$/, /^SINK(.+)$/].flatMap(head => head.exec(spelled(variable))?.[1] ?? []);
  const names = ends.flatMap(end => Array.from(end.matchAll(/_/g), ({ index }) => end.slice(0, index)));
  return names.filter(name => isName.test(name)).flatMap(name => allProperties.map(property => `SINK_${name}_${property}`));
}

/** Reads what is declared; what is wrong with it joins the other mistakes. */
export function readSinks(given: Given): DeclaredSink[] {
  const { texts, names: variables, mistakes } = given;
  const names = declaredNames(given);
  const parts = new Map<string, Map<string, string>>(names.map(name => [name, new Map()]));
  for (const [variable, text] of texts) {
    if (!variable.startsWith('SINK_')) continue;
    // The longest declared name wins: SINK_CRM_EU_URL is the URL of crm_eu, if there is one.
    const owner = names.filter(name => variable.startsWith(`SINK_${name}_`)).sort((one, other) => other.length - one.length)[0];
    const property = variable.slice(`SINK_${owner}_`.length);
    const type = owner === undefined ? undefined : typeOf(owner, given);
    if (owner !== undefined && (!type || propertiesOf(type).includes(property))) parts.get(owner)!.set(property, text);
    else if (!isInjected(variable, text)) mistakes.push(`${variables.get(variable)} ${strange(variable, type, property, given)}`);
  }
  const sinks = names.flatMap(name => readSink(name, parts.get(name)!, given) ?? []);
  mistakes.push(...clashesOf(sinks));
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

function readSink(name: string, texts: ReadonlyMap<string, string>, given: Given): DeclaredSink | null {
  const prefix = `SINK_${name}_`;
  const type = typeOf(name, given);
  if (!type) {
    given.mistakes.push(`${prefix}TYPE must be one of ${sinkTypes.map(one => one.type).join(', ')}`);
    return null;
  }
  const { value, mistakes } = readClass(type.settings, texts, prefix);
  given.mistakes.push(...mistakes);
  return { name: name.toLowerCase(), type, settings: value };
}
