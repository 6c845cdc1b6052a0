import './node-version.js';
import './process/stop-signal.js';
import './process/uncaught.js';

// Everything else takes a second to load, in which no signal and no error must be lost.
await import('./program.js');
