import { env } from 'node:process';
import { parse } from 'dotenv';
import { SettingsError, envFile, textsOf } from '../settings/environment.js';
import { tokenRules } from '../settings/management-token.js';

const name = 'MANAGEMENT_TOKEN';

/** Reads the token of the management API, without loading the other settings. @throws SettingsError */
export function managementToken(): string {
  const { texts, unreadable, mistakes } = textsOf({ ...parse(envFile() ?? ''), ...env }, variable => variable === name);
  if (unreadable.size + mistakes.length > 0) throw new SettingsError([...unreadable.values(), ...mistakes]);
  const token = texts.get(name);
  if (token === undefined) throw new SettingsError([`${name} is required: the one that the service has`]);
  const broken = tokenRules.find(([pattern]) => !pattern.test(token));
  if (broken) throw new SettingsError([broken[1].message.replace('$property', name)]);
  return token;
}
