// One real OpenSearch node on 127.0.0.1, for tests.
//   node start-opensearch.mjs [--port N] [--home DIR]      prints its URL, runs until SIGTERM
//   import { startOpenSearch } from './start-opensearch.mjs'
// Needs Maven and a JDK 21 or later; the first start downloads about 55 MB of jars.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));

/** The first JDK (a compiler is needed too) of version 21 or later: JAVA_HOME, then /usr/lib/jvm. */
export function findJava() {
  const jvm = '/usr/lib/jvm';
  const homes = [process.env.JAVA_HOME, ...(existsSync(jvm) ? readdirSync(jvm).map(name => join(jvm, name)) : [])];
  for (const home of homes) {
    if (!home || !existsSync(join(home, 'bin/javac'))) continue;
    const java = join(home, 'bin/java');
    const version = /version "(\d+)/.exec(spawnSync(java, ['-version'], { encoding: 'utf8' }).stderr);
    if (Number(version?.[1]) >= 21) return java;
  }
  throw new Error('OpenSearch needs a JDK 21 or later: set JAVA_HOME');
}

/** The class path: asked of Maven when pom.xml changed or a jar went missing, else as kept in target/. */
function classPath() {
  const pom = join(here, 'pom.xml');
  const file = join(here, 'target/classpath.txt');
  const read = () => readFileSync(file, 'utf8').trim();
  if (existsSync(file) && statSync(file).mtimeMs > statSync(pom).mtimeMs && read().split(delimiter).every(existsSync)) return read();
  mkdirSync(dirname(file), { recursive: true });
  const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath';
  execFileSync('mvn', ['-B', '-q', '-ntp', '-f', pom, goal, '-Dmdep.includeScope=runtime', `-Dmdep.outputFile=${file}`], {
    stdio: ['ignore', 2, 2],
  });
  return read();
}

/** Resolves when the node is healthy. Without `home` its data live in a temporary folder, removed when it ends. */
export async function startOpenSearch({ port = 0, home } = {}) {
  const java = findJava();
  const jars = classPath();
  const dir = home ?? mkdtempSync(join(tmpdir(), 'opensearch-'));
  const child = spawn(
    java,
    [
      '-Xms512m',
      '-Xmx512m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '--enable-native-access=ALL-UNNAMED',
      '-Djava.util.logging.manager=org.apache.logging.log4j.jul.LogManager',
      '-Dslf4j.internal.verbosity=ERROR',
      '-cp',
      jars,
      join(here, 'OpenSearchServer.java'),
      String(port),
      dir,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  ); // the node also ends when its standard input closes
  const exited = new Promise(resolve =>
    child.once('exit', (code, signal) => {
      if (!home) rmSync(dir, { recursive: true, force: true });
      resolve(signal ?? code);
    }),
  );
  const stop = () => (child.kill('SIGTERM'), exited);
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    void exited.then(how => reject(new Error(`OpenSearch ended before it was ready (${how})`)));
  });
  return { url, pid: child.pid, home: dir, stop, exited };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { port: { type: 'string' }, home: { type: 'string' } } });
  const server = await startOpenSearch(values);
  let asked = false;
  for (const signal of ['SIGTERM', 'SIGINT'])
    process.once(signal, () => {
      asked = true;
      void server.stop();
    });
  void server.exited.then(() => process.exit(asked ? 0 : 1));
  console.log(server.url);
}
