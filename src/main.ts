import './node-version.js';
import './process/stop-signal.js';
import './process/uncaught.js';

// Loading the rest takes a second, during which signals and errors must already be handled.
await import('./program.js');
