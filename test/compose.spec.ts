import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { readSettings } from '../src/settings/settings.js';

interface Service {
  image: string;
  profiles: string[];
  ports: string[];
  environment: Record<string, string>;
  build?: { context: string; dockerfile: string };
  tmpfs?: string[];
  volumes?: string[];
}

const root = join(import.meta.dirname, '..');
const text = readFileSync(join(root, 'deploy/compose.yaml'), 'utf8');
const compose = parse(text, { merge: true }) as { services: Record<string, Service>; volumes: Record<string, null> };
const services = Object.entries(compose.services);
const ours = services.filter(([, { build }]) => build);

/** No container engine checks it here: this is what can be told without one. */
describe('compose.yaml', () => {
  test('has nothing that Compose does not know, as far as it goes', () => {
    const known = [
      'build',
      'image',
      'ports',
      'restart',
      'stop_grace_period',
      'read_only',
      'cap_drop',
      'security_opt',
      'profiles',
      'environment',
    ];
    const used = services.flatMap(([, service]) => Object.keys(service)).filter(key => !known.includes(key));
    expect(new Set(used)).toEqual(new Set(['tmpfs', 'volumes']));
    expect(Object.keys(compose).filter(key => !key.startsWith('x-'))).toEqual(['services', 'volumes']);
  });

  test('each profile is one engine and one service of ours, and the comment names them all', () => {
    const profiles = services.flatMap(([, service]) => service.profiles);
    const names = [...new Set(profiles)].sort();
    expect(names).toEqual(['elasticsearch', 'meilisearch', 'opensearch', 'postgres']);
    const told = /--profile (\w+) up --build +\(or ([^)]+)\)/.exec(text)!;
    expect(new Set([told[1], ...told[2]!.split(', ')])).toEqual(new Set(names));
    for (const name of names) {
      expect(services.filter(([, service]) => service.profiles.includes(name)).map(([service]) => service)).toEqual([`with-${name}`, name]);
    }
  });

  test.each(ours)('the settings of %s are settings, and lead to the engine of its profile', (name, { environment, profiles }) => {
    const settings = readSettings(environment);
    const { SINK_SEARCH_URL: url, SINK_SEARCH_TYPE: type, DATABASE_URL: database } = environment;
    expect(new URL(url ?? database!).hostname).toBe(profiles[0]);
    expect(settings.sinks.map(sink => [sink.name, sink.type.type])).toEqual([['log', 'log'], ...(type ? [['search', profiles[0]]] : [])]);
    // A misspelled name that begins with none of our words would be ignored.
    const known = readFileSync(join(root, '.env.example'), 'utf8');
    expect(Object.keys(environment).filter(one => !one.startsWith('SINK_') && !known.includes(`${one}=`))).toEqual([]);
  });

  test.each(ours)('%s is built from the Dockerfile, and may write where its settings say', (_, { build, tmpfs, environment, image }) => {
    expect(existsSync(join(root, 'deploy', build!.context, build!.dockerfile))).toBe(true);
    expect(image).toBe(`channel-sync:${(parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version}`);
    const [path = '', options] = tmpfs![0]!.split(':');
    expect(options).toBe('uid=65532,gid=65532');
    const folder = environment['SPOOL_DIR'] ?? environment['DATABASE_URL']!.slice('sqlite:'.length);
    expect(folder.startsWith(`${path}/`)).toBe(true);
  });

  test('every port is open to this machine alone, engines keep their data, and their key is the one that ours shows', () => {
    for (const [, { ports }] of services) for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:(\d+):\1$/);
    const volumes = services.flatMap(([, service]) => service.volumes ?? []).map(volume => volume.split(':')[0]);
    expect(new Set(volumes)).toEqual(new Set(Object.keys(compose.volumes)));
    expect(compose.services['with-meilisearch']!.environment['SINK_SEARCH_API_KEY']).toBe(
      compose.services['meilisearch']!.environment['MEILI_MASTER_KEY'],
    );
  });
});
