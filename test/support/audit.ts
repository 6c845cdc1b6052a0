import { spawnSync } from 'node:child_process';

// Fails on a known hole of high or critical severity in what the service runs on. A registry that cannot tell is no failure, but is told.
const { stdout, error } = spawnSync('npm', ['audit', '--omit=dev', '--omit=optional', '--json'], {
  encoding: 'utf8',
  timeout: 60_000,
  shell: process.platform === 'win32',
});
const told = ((): { metadata?: { vulnerabilities: Record<string, number> }; message?: string } => {
  try {
    return JSON.parse(stdout) as object;
  } catch {
    return { message: error?.message ?? 'npm audit gave no JSON' };
  }
})();
if (!told.metadata) {
  console.warn(`The dependencies were not audited: ${told.message ?? 'the registry does not do that'}`);
} else {
  const { high = 0, critical = 0 } = told.metadata.vulnerabilities;
  console.log(`audit: ${high} high, ${critical} critical`);
  if (high + critical > 0) process.exitCode = 1;
}
