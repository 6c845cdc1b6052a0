import '../support/node-version.ts';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { playStory } from './story.ts';

const help = `npm run test:slack

Clicks the buttons of cards in a browser, over HTTP and over Socket Mode: the built service beside local-slack and a CRM
that refuses; opens Home and Details, and types the command. Then draws all of that in both languages into docs/slack. Linux with Chromium (/usr/bin/chromium) only;
the pictures in Chinese need Debian's fonts-noto-cjk.

  --help   this text`;

const chromium = '/usr/bin/chromium';
/** Not among our dependencies: a binary of 95 MB that nothing else needs. */
const localSlack = 'local-slack-linux-x64@0.1.8';

const [first] = process.argv.slice(2);
if (first === '--alone') {
  // Nothing here can be reached from outside, and nothing outside from here.
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  const failures = await playStory(localSlackBinary(), chromium);
  console.log(failures === 0 ? 'all clicks did what they should' : `${failures} failed`);
  process.exit(failures === 0 ? 0 : 1);
}
if (first !== undefined || process.platform !== 'linux') {
  console.log(help);
  process.exit(first === '--help' ? 0 : 2);
}
if (!existsSync(chromium)) {
  console.error(`There is no ${chromium}: apt-get install chromium fonts-noto-cjk fonts-noto-color-emoji`);
  process.exit(2);
}
if (!existsSync(localSlackBinary())) {
  execFileSync('npm', ['install', '--no-save', '--no-package-lock', '--ignore-scripts', '--silent', '--prefix', installed(), localSlack], {
    stdio: 'inherit',
  });
}
// local-slack listens on all interfaces, so all of it runs where there is but loopback.
const alone = ['--map-root-user', '--net', process.execPath, import.meta.filename, '--alone'];
process.exit(spawnSync('unshare', alone, { stdio: 'inherit' }).status ?? 1);

/** Outside of the work tree's own modules, so that neither npm nor lint looks at it. */
function installed(): string {
  return join(import.meta.dirname, '../../node_modules/.cache/local-slack');
}

function localSlackBinary(): string {
  return join(installed(), 'node_modules/local-slack-linux-x64/bin/local-slack');
}
