import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { readSettings } from '../src/settings/settings.js';
import { freePort } from './support/postgres.js';
import { nodeOptions } from './support/process.ts';
import { send } from './support/service.js';
import { until } from './support/until.js';

const root = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

// The manifest is read as it stands.
/* oxlint-disable typescript/no-explicit-any */
const manifest = parseAllDocuments(read('deploy/kubernetes.yaml')).map(document => document.toJS({ mapAsMap: false }) as any);
const of = (kind: string, name = 'channel-sync'): any => manifest.find(one => one.kind === kind && one.metadata.name === name);
/* oxlint-enable typescript/no-explicit-any */
const pod = of('StatefulSet').spec.template.spec;
const [container] = pod.containers;

describe('kubernetes.yaml', () => {
  test('its settings are settings, and its secrets are read from the files of the Secret that its comment tells how to make', () => {
    const secrets: Record<string, string> = {
      DATABASE_URL: 'postgres://user:password@db/channel_sync',
      WEBHOOK_TOKENS: 'token',
      MANAGEMENT_TOKEN: 'a-long-random-text',
      SINK_CRM_SECRETS: `whsec_${Buffer.alloc(32).toString('base64')}`,
    };
    const told = [...read('deploy/kubernetes.yaml').matchAll(/--from-literal=([A-Z_]+)=/g)].map(match => match[1]!);
    expect(told.sort()).toEqual(Object.keys(secrets).sort());
    const variables = container.env.map(({ name, value }: { name: string; value: string }) => [name, value] as const);
    const files = variables.filter(([name]: [string]) => name.endsWith('_FILE'));
    expect(files.sort()).toEqual(told.map(name => [`${name}_FILE`, `/etc/channel-sync/${name}`]));
    const others = variables.filter(([name]: [string]) => !name.endsWith('_FILE'));
    const settings = readSettings({ ...of('ConfigMap').data, ...Object.fromEntries(others), ...secrets });
    expect(settings.sinks.map(sink => sink.name)).toEqual(['crm']);
    expect(settings.warnings).toEqual([]);
    const mounts = container.volumeMounts.map(({ mountPath }: { mountPath: string }) => mountPath);
    expect(mounts).toEqual(['/data', '/etc/channel-sync']);
    expect(settings.SPOOL_DIR).toBe('/data/spool');
  });

  test('management has a Service of its own, probes are its, and nothing of it is on the public one', () => {
    expect(of('Service').spec.ports.map((port: { targetPort: string }) => port.targetPort)).toEqual(['webhooks']);
    expect(of('Service', 'channel-sync-management').spec.ports.map((port: { targetPort: string }) => port.targetPort)).toEqual([
      'management',
    ]);
    const ports = container.ports.map(({ name, containerPort }: { name: string; containerPort: number }) => [name, containerPort]);
    expect(ports).toEqual([
      ['webhooks', 3000],
      ['management', 3001],
    ]);
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) expect(container[probe].httpGet.port).toBe('management');
    expect(container.livenessProbe.httpGet.path).toBe('/livez');
    expect(container.readinessProbe.httpGet.path).toBe('/readyz');
  });

  test('a pod gets the time that the drain may take', () => {
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(container.lifecycle.preStop.sleep.seconds + 25 + 5);
  });

  test('it is what restricted pod security asks for, on a root that is read-only', () => {
    expect(pod).toMatchObject({ enableServiceLinks: false, automountServiceAccountToken: false });
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(container.securityContext).toEqual({
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    });
  });

  test('the chart has the version of the project', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(parse(read('deploy/chart/Chart.yaml'))).toMatchObject({ version, appVersion: version });
    expect(container.image).toBe(`channel-sync:${version}`);
  });
});

describe('Dockerfile', () => {
  test('runs the Node that the project asks for, as nobody, from the folder that its package.json is in', () => {
    const text = read('deploy/Dockerfile');
    const wanted = (parse(read('package.json')) as { engines: { node: string } }).engines.node.match(/\d+/)![0];
    expect(text).toMatch(new RegExp(`^ARG BUILD_IMAGE=node:${wanted}-slim$`, 'm'));
    expect(text).toMatch(new RegExp(`^ARG RUN_IMAGE=gcr\\.io/distroless/nodejs${wanted}-debian\\d+:nonroot$`, 'm'));
    expect([...text.matchAll(/^FROM (.+)$/gm)].map(match => match[1])).toEqual(['${BUILD_IMAGE} AS build', '${RUN_IMAGE}']);
    expect(text).toContain('COPY --from=build /app/package.json ./');
    expect(text).toContain(`CMD ${JSON.stringify([...nodeOptions, 'dist/main.js']).replaceAll(',', ', ')}\n`);
    for (const [, source] of text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
      for (const path of source!.split(' ')) {
        expect(existsSync(join(root, path))).toBe(true);
        expect(read('.dockerignore')).toContain(`!${path}\n`);
      }
    }
  });
});

/* oxlint-disable jest/no-standalone-expect -- it is a test where there is bubblewrap */
const hasBubblewrap = ((): boolean => {
  try {
    execFileSync('bwrap', ['--unshare-user', '--ro-bind', '/', '/', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

const testInJail = hasBubblewrap ? test : test.skip;
testInJail(
  'it runs on a read-only root as an unprivileged user, and writes to SPOOL_DIR alone',
  async () => {
    const [port, managementPort] = [await freePort(), await freePort()];
    const environment = {
      PATH: process.env['PATH'],
      SDK_APP_IDS: '1400000001',
      HOST: '127.0.0.1',
      PORT: String(port),
      MANAGEMENT_PORT: String(managementPort),
      DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none',
      SPOOL_DIR: '/mnt/spool',
    };
    const jail = [
      '--unshare-user',
      '--uid',
      '65532',
      '--gid',
      '65532',
      '--ro-bind',
      '/',
      '/',
      '--tmpfs',
      '/mnt',
      '--die-with-parent',
      '--chdir',
      root,
    ];
    const child = spawn('bwrap', [...jail, process.execPath, ...nodeOptions, 'dist/main.js'], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const exited = new Promise<number | null>(resolve => child.once('exit', code => resolve(code)));
    try {
      await until(() => output.includes('"listening"'), `listening, not: ${output}`, 20_000);
      const body = JSON.stringify({ Official_Account: 'a', Name: 'x' });
      const query = 'SdkAppid=1400000001&CallbackCommand=OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
      expect((await send('POST', `http://127.0.0.1:${port}/webhooks/tencent-chat?${query}`, body)).status).toBe(200);
      expect((await send('GET', `http://127.0.0.1:${managementPort}/metrics`)).text).toContain('channel_sync_spooled 1');
    } finally {
      child.kill('SIGKILL');
      await exited;
    }
  },
  30_000,
);
