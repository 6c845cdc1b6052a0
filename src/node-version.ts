// Loaded before the program: on an older Node that fails with errors that nobody understands.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  process.stderr.write(
    `channel-sync needs Node 24 or newer, this is ${process.versions.node}. After "npm ci", npm scripts run on the right one: npm start\n`,
  );
  process.exit(78);
}
