import { Command, CommanderError } from 'commander';
import { version } from '../outgoing/http.js';
import { SettingsError } from '../settings/environment.js';
import { addActions } from './actions.js';
import { addLists, commandOf } from './lists.js';
import { CliError, endQuietly, printError } from './terminal.js';

/** Runs one command. Exit codes: 0 success, 1 failure, 2 wrong usage, 78 wrong settings. */
export async function main(words: readonly string[]): Promise<void> {
  endQuietly();
  try {
    await program().parseAsync(words, { from: 'user' });
  } catch (error) {
    // Commander has already printed the message.
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else if (error instanceof CliError) fail(error.message, error.exitCode);
    else if (error instanceof SettingsError) fail(error.message, 78);
    else fail(unexpected(error), 1);
  }
}

/** Leaves out the message, which may contain a secret. */
function unexpected(error: unknown): string {
  const places = error instanceof Error ? (error.stack ?? '').split('\n').filter(line => /^ +at /.test(line)) : [];
  return [`unexpected error: ${error instanceof Error ? error.name : typeof error}`, ...places].join('\n');
}

function fail(message: string, exitCode: number): void {
  printError(message);
  process.exitCode = exitCode;
}

function program(): Command {
  const program = new Command('channel-sync').version(version).exitOverride().showSuggestionAfterError();
  program.description('Operates a channel-sync service. Reads .env in the current folder, as the service does.');
  commandOf(program, 'check', 'Check the settings; print all mistakes and warnings')
    .option('--json', 'print JSON')
    .action(async (given: { json?: true }) => (await import('./check.js')).check(given));
  commandOf(program, 'doctor', 'Check the settings and everything they connect to; sends nothing to a sink')
    .option('--json', 'print JSON')
    .action(async (given: { json?: true }) => (await import('./doctor/doctor.js')).doctor(given));
  commandOf(program, 'send-webhook', 'Send a webhook as Tencent Chat would, signed with a token of the settings')
    .option('--url <url>', 'where to; otherwise PORT and WEBHOOK_PATH of the settings, on this machine')
    .option('--command <command>', 'created, changed or destroyed', 'changed')
    .option('--app <id>', 'the app; otherwise the first of SDK_APP_IDS')
    .option('--channel <id>', 'the channel', '@TOA#_channel-sync-test')
    .option('--name <text>', 'its name')
    .option('--avatar <url>', 'its avatar')
    .option('--introduction <text>', 'its introduction')
    .option('--organization <text>', 'its organization')
    .option('--operator <id>', 'who did it')
    .option('--time <time>', 'when it was done, in ISO 8601 or milliseconds since 1970; otherwise now')
    .action(async (given: Record<string, string>) => (await import('./send-webhook.js')).sendWebhook(given));
  addLists(program);
  addActions(program);
  return program;
}
