import { execSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Prints what the image holds as CycloneDX. `npm sbom --omit` would leave out what both tools and the service need, so npm is shown a tree without tools.
type Manifest = { name: string; devDependencies?: object };
type Package = { dev?: boolean; optional?: boolean; devOptional?: boolean };
const root = join(import.meta.dirname, '../..');
const [manifest, lock] = ['package.json', 'package-lock.json'].map(
  path => JSON.parse(readFileSync(join(root, path), 'utf8')) as Manifest & { packages: Record<string, Package & Manifest> },
);
delete manifest!.devDependencies;
delete lock!.packages['']!.devDependencies;
for (const [path, { dev, optional, devOptional }] of Object.entries(lock!.packages)) {
  if (dev || optional || devOptional) delete lock!.packages[path];
}
const temporary = mkdtempSync(join(tmpdir(), 'channel-sync-sbom-'));
try {
  // npm names the whole after its folder.
  const folder = join(temporary, manifest!.name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock));
  process.stdout.write(
    execSync('npm sbom --sbom-format=cyclonedx --sbom-type=application --package-lock-only', { cwd: folder, maxBuffer: 1e8 }),
  );
} finally {
  rmSync(temporary, { recursive: true });
}
