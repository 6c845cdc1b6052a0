import './preconditions.js';
import './process/exit-handlers.js';

// Loading the rest takes a second, during which signals and errors must already be handled.
await import('./program.js');
