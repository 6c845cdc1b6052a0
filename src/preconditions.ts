// Loaded before the program, whose errors would be obscure: Nest, for one, reports a deleted folder as a missing package.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24)
  refuse(`needs Node 24 or newer, this is ${process.versions.node}. After "npm ci", npm scripts run on the right one: npm start`);
try {
  process.cwd();
} catch {
  refuse('was started in a folder that has been deleted: change to one that exists');
}

function refuse(why: string): never {
  process.stderr.write(`channel-sync ${why}\n`);
  process.exit(78);
}
