import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { readSettings } from '../src/settings/settings.js';

interface Service {
  image?: string;
  ports?: string[];
  environment: Record<string, string>;
  build?: { context: string; dockerfile: string };
  volumes?: string[];
}
interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, null>;
}

const root = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const base = parse(read('compose.yaml')) as Compose;
const own = base.services['channel-sync']!;
const engines = readdirSync(join(root, 'deploy/compose')).map(file => file.replace('.yaml', ''));
const overlays = engines.map(name => ({ name, file: parse(read(`deploy/compose/${name}.yaml`)) as Compose }));

/** What compose puts in place of `${NAME:-default}` where nothing is set. */
function settingsWith(environment: Record<string, string>): ReturnType<typeof readSettings> {
  const filled = Object.entries(environment).map(([name, value]) => [name, value.replace(/^\$\{\w+:-(.*)\}$/, '$1')]);
  return readSettings(Object.fromEntries(filled) as Record<string, string>);
}

test('the service is built from the Dockerfile, has the version of the project, and keeps its data on a volume', () => {
  expect(existsSync(join(root, own.build!.context, own.build!.dockerfile))).toBe(true);
  expect(own.image).toBe(`channel-sync:${(parse(read('package.json')) as { version: string }).version}`);
  const settings = settingsWith(own.environment);
  expect(settings.DATABASE_URL).toBe('sqlite:/data/channel-sync.db');
  expect(own.volumes).toEqual(['data:/data']);
  // A volume belongs to root unless its folder is in the image.
  expect(read('deploy/Dockerfile')).toContain('COPY --from=build --chown=65532:65532 /data /data');
  expect(own.ports).toEqual([settings.PORT, settings.MANAGEMENT_PORT].map(port => `127.0.0.1:${port}:${port}`));
});

test('there is a file for each engine, and the comment names them all', () => {
  expect(engines.toSorted()).toEqual(['elasticsearch', 'meilisearch', 'opensearch', 'postgres']);
  for (const name of engines) {
    expect(read('compose.yaml')).toContain(name);
    expect(read(`deploy/compose/${name}.yaml`)).toContain(`docker compose -f compose.yaml -f deploy/compose/${name}.yaml up`);
  }
});

test.each(overlays)(
  'with $name the settings lead to the engine, which keeps its data and is open to this machine alone',
  ({ name, file }) => {
    expect(Object.keys(file.services)).toEqual(['channel-sync', name]);
    const settings = settingsWith({ ...own.environment, ...file.services['channel-sync']!.environment });
    const { SINK_SEARCH_URL: url, SINK_SEARCH_TYPE: type, DATABASE_URL: database } = file.services['channel-sync']!.environment;
    expect(new URL(url ?? database!).hostname).toBe(name);
    expect(settings.sinks.map(sink => [sink.name, sink.type.type])).toEqual([type ? ['search', name] : ['log', 'log']]);
    const engine = file.services[name]!;
    for (const port of engine.ports!) expect(port).toMatch(/^127\.0\.0\.1:(\d+):\1$/);
    expect(engine.volumes!.map(volume => volume.split(':')[0])).toEqual(Object.keys(file.volumes));
  },
);

test('the key of Meilisearch is the one that ours shows', () => {
  const { services } = overlays.find(({ name }) => name === 'meilisearch')!.file;
  expect(services['channel-sync']!.environment['SINK_SEARCH_API_KEY']).toBe(services['meilisearch']!.environment['MEILI_MASTER_KEY']);
});
