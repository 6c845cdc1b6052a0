import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '../..');
const manifestText = readFileSync(join(root, 'deploy/slack/manifest.yaml'), 'utf8');

interface Manifest {
  display_information: { name: string; description: string };
  features: { bot_user: { display_name: string }; slash_commands: { url?: string; description: string; should_escape: boolean }[] };
  oauth_config: { scopes: { bot: string[]; bot_optional: string[] } };
  settings: {
    interactivity: { request_url?: string };
    event_subscriptions: { request_url?: string; bot_events: string[] };
    socket_mode_enabled: boolean;
    incoming_webhooks: object;
  };
}

const variants: Record<string, Manifest> = {
  'a bot token': parse(manifestText) as Manifest,
  'an incoming webhook': parse(
    manifestText
      .replace('# - incoming-webhook', '- incoming-webhook')
      .replace('incoming_webhooks_enabled: false', 'incoming_webhooks_enabled: true'),
  ) as Manifest,
  'Socket Mode': parse(
    manifestText.replace('socket_mode_enabled: false', 'socket_mode_enabled: true').replace(/ +(request_)?url: .*\n/g, ''),
  ) as Manifest,
};

/**
 * What is wrong with them by Slack's own types of a manifest, which know the name of every key and scope. Slack's JSON schema
 * (github.com/slackapi/manifest-schema) is in no package.
 */
function typeErrorsOf(manifests: object[]): string[] {
  const file = join(root, 'manifests.ts');
  const text = `import type { AppsManifestValidateArguments } from '@slack/web-api';
    export const manifests: AppsManifestValidateArguments['manifest'][] = ${JSON.stringify(manifests)};`;
  const options = { module: ts.ModuleKind.NodeNext, strict: true, noEmit: true, skipLibCheck: true, types: ['node'] };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, ...rest) => (name === file ? ts.createSourceFile(name, text, ts.ScriptTarget.ES2022) : read(name, ...rest));
  return ts
    .getPreEmitDiagnostics(ts.createProgram([file], options, host))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

// Planted: a misspelled scope and a misspelled key below settings were told.
test("its variants have only keys and scopes of Slack's", () => expect(typeErrorsOf(Object.values(variants))).toEqual([]), 60_000);

test.each(Object.entries(variants))("for %s it keeps Slack's limits and asks for nothing of the user", (_, manifest) => {
  const { display_information, features, oauth_config } = manifest;
  expect(Object.keys(manifest)).toEqual(['_metadata', 'display_information', 'features', 'oauth_config', 'settings']);
  expect(display_information.name.length).toBeLessThanOrEqual(35);
  expect(display_information.description.length).toBeLessThanOrEqual(140);
  expect(features.bot_user.display_name).toMatch(/^[a-z0-9._-]{1,80}$/);
  expect(Object.keys(oauth_config.scopes)).toEqual(['bot', 'bot_optional']);
});

test('the variants are three', () => {
  const { 'a bot token': bot, 'an incoming webhook': hook, 'Socket Mode': socket } = variants;
  expect(bot!.oauth_config.scopes).toEqual({ bot: ['chat:write', 'commands'], bot_optional: ['channels:history', 'groups:history'] });
  expect(hook!.oauth_config.scopes.bot).toEqual(['chat:write', 'commands', 'incoming-webhook']);
  expect(hook!.settings.incoming_webhooks).toEqual({ incoming_webhooks_enabled: true });
  expect(socket!.settings).toMatchObject({ socket_mode_enabled: true, interactivity: { is_enabled: true } });
  expect(JSON.stringify(socket)).not.toContain('YOUR.HOST');
});

test('it leads Slack to the path for clicks, and the advice for errors names the scope that it has', () => {
  const { settings, features, oauth_config } = variants['a bot token']!;
  const [command] = features.slash_commands;
  for (const url of [settings.interactivity.request_url, settings.event_subscriptions.request_url, command!.url])
    expect(new URL(url!).pathname).toBe('/slack/interactions');
  // Escaped, an id such as @TOA#_tea could come as something else.
  expect(command!.should_escape).toBe(false);
  expect(settings.event_subscriptions.bot_events).toEqual(['app_home_opened']);
  const advice = readFileSync(join(root, 'src/explanations/en.ts'), 'utf8');
  const named = [...advice.matchAll(/the scopes? ([a-z]+:[a-z]+)/g)].map(match => match[1]!);
  expect(named.length).toBeGreaterThan(0);
  for (const scope of named) expect([...oauth_config.scopes.bot, ...oauth_config.scopes.bot_optional]).toContain(scope);
});
