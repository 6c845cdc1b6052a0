import './node-version.js';
import './stop-signal.js';
import './uncaught.js';

// Everything else takes a second to load, in which no signal and no error must be lost.
await import('./program.js');
