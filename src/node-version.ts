// Loaded before the program, which fails with obscure errors on older versions of Node.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  process.stderr.write(
    `channel-sync needs Node 24 or newer, this is ${process.versions.node}. After "npm ci", npm scripts run on the right one: npm start\n`,
  );
  process.exit(78);
}
