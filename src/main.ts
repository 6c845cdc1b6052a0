import './node-version.js';
import './stop-signal.js';

// Everything else takes a second to load, in which a signal must not be lost.
await import('./program.js');
