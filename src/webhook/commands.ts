import type { Command } from '../channel/merge.js';

/** The vendor's commands that we handle (Tencent Cloud, product 1047, documents 60796, 60797, 60798). */
export const commands: Readonly<Record<string, Command>> = {
  'OfficialAccount.CallbackAfterCreateOfficialAccount': 'created',
  'OfficialAccount.CallbackAfterOfficialAccountInfoChanged': 'changed',
  'OfficialAccount.CallbackAfterOfficialAccountDestroyed': 'destroyed',
};

/** Whether we handle this command. */
export function isOurs(command: unknown): command is string {
  return typeof command === 'string' && Object.hasOwn(commands, command);
}
