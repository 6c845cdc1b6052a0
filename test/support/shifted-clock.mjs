// Loaded with --import into the built service: its wall clock is off by what the file CLOCK_FILE says, in milliseconds, and set anew at each SIGUSR2.
// Its monotonic clock stays as it is.
import { readFileSync } from 'node:fs';

const read = () => Number(readFileSync(process.env.CLOCK_FILE, 'utf8'));
let shift = read();
process.on('SIGUSR2', () => (shift = read()));

const Real = Date;
globalThis.Date = class extends Real {
  constructor(...values) {
    if (values.length === 0) super(Real.now() + shift);
    else super(...values);
  }
  static now() {
    return Real.now() + shift;
  }
};
