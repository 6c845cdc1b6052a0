#!/usr/bin/env node
import './node-version.js';

const { main } = await import('./cli/main.js');
await main(process.argv.slice(2));
