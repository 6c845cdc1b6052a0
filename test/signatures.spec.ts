import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';

const page = readFileSync(join(import.meta.dirname, '../docs/crm.md'), 'utf8');
const snippet = (language: string): string => new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(page)![1]!;
const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const other = `whsec_${Buffer.alloc(32, 8).toString('base64')}`;

interface Language {
  files: Record<string, string>;
  run: [command: string, ...args: string[]];
}
/** Each reads the secret, the three headers and the body from its arguments, and prints whether it is ours. */
const languages: Record<string, Language> = {
  js: {
    files: {
      'verify.mjs': `${snippet('js')}
const [, , secret, id, time, signature, body] = process.argv;
console.log(isOurs(secret, { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature }, Buffer.from(body)));`,
    },
    run: [process.execPath, 'verify.mjs'],
  },
  python: {
    files: {
      'verify.py': `${snippet('python')}
import sys
_, secret, id, at, signature, body = sys.argv
print(str(is_ours(secret, {"webhook-id": id, "webhook-timestamp": at, "webhook-signature": signature}, body.encode())).lower())`,
    },
    run: ['python3', 'verify.py'],
  },
  java: {
    files: {
      'Main.java': `${snippet('java').replace(
        'class Webhooks',
        `class Main {
  public static void main(String[] args) throws Exception {
    Map<String, String> headers = Map.of("webhook-id", args[1], "webhook-timestamp", args[2], "webhook-signature", args[3]);
    System.out.println(Webhooks.isOurs(args[0], headers, args[4].getBytes(StandardCharsets.UTF_8)));
  }
}
class Webhooks`,
      )}`,
    },
    run: ['java', 'Main.java'],
  },
  go: {
    files: {
      'verify.go': snippet('go'),
      'main.go': `package main
import ("fmt"; "os")
func main() {
	a := os.Args
	fmt.Println(isOurs(a[1], map[string]string{"webhook-id": a[2], "webhook-timestamp": a[3], "webhook-signature": a[4]}, []byte(a[5])))
}`,
    },
    run: ['go', 'run', 'verify.go', 'main.go'],
  },
};

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'channel-sync-signatures-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** `.ci/deploy` asks for those that are slow to build, too. */
const wanted = process.env['ALL_LANGUAGES'] ? Object.keys(languages) : ['js', ...(hasPython() ? ['python'] : [])];

function hasPython(): boolean {
  return spawnSync('python3', ['--version']).status === 0;
}

test.each(wanted)(
  'what docs/crm.md shows in %s takes what we sign, and nothing else',
  language => {
    const { files, run } = languages[language]!;
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const body = '{"type":"channel.created","name":"腾讯 \\"官方\\""}';
    const now = new Date();
    const old = new Date(now.getTime() - 600_000);
    const at = (date: Date): string => String(Math.floor(date.getTime() / 1000));
    const [ours, theirs] = [secret, other].map(one => new Webhook(one).sign('id-1', now, body));
    const is = (id: string, time: string, signature: string, text: string): string =>
      execFileSync(run[0], [...run.slice(1), secret, id, time, signature, text], { cwd: folder, encoding: 'utf8' }).trim();
    expect(is('id-1', at(now), ours!, body)).toBe('true');
    expect(is('id-1', at(now), `${theirs} ${ours}`, body)).toBe('true');
    expect(is('id-1', at(now), theirs!, body)).toBe('false');
    expect(is('id-2', at(now), ours!, body)).toBe('false');
    expect(is('id-1', at(now), ours!, `${body} `)).toBe('false');
    expect(is('id-1', at(old), new Webhook(secret).sign('id-1', old, body), body)).toBe('false');
    expect(is('id-1', 'soon', ours!, body)).toBe('false');
    expect(is('id-1', at(now), '', body)).toBe('false');
  },
  120_000,
);
