#!/usr/bin/env node
import './preconditions.js';

const { main } = await import('./cli/main.js');
await main(process.argv.slice(2));
