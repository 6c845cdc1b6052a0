// The project pins Node 24 as a devDependency, so npm scripts run on it; a missing install script would leave us silently on PATH's Node.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(`channel-sync needs Node 24 or newer, this is ${process.versions.node}. Run the command through npm, after "npm ci".`);
  process.exit(1);
}
