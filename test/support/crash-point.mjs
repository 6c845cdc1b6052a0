// Loaded with --import into the built service: ends it with SIGKILL at one exact step, told from the statements that it runs.
// CRASH_AT is `<transaction>:<step>`; CLOCK_SHIFT_MS sets its clock.
import { StatementSync } from 'node:sqlite';
import pg from 'pg';

/** What a transaction is, by a statement that only it has. */
const transactions = {
  migration: /^create table change /,
  record: /^insert into change /,
  // Reads what was leased, if anything was.
  claim: /^select lane\.channel, lane\.config_error_seq/,
  settle: /^insert into attempt /,
  retention: /^delete from change /,
  fill: /^update "sink" set "backfilled_to"/,
};

const [wanted = '', step = ''] = (process.env.CRASH_AT ?? '').split(':');
const isWanted = text => transactions[wanted]?.test(text.trim());

/** Follows one connection. @returns what to do once the statement is done */
function follow(trail, text) {
  const statement = text.trim().toLowerCase();
  if (statement.startsWith('begin')) trail.wanted = false;
  if (isWanted(text)) {
    if (step === 'statement') die();
    trail.wanted = true;
  }
  if (statement !== 'commit' || !trail.wanted) return () => undefined;
  if (step === 'before-commit') die();
  return () => step === 'after-commit' && die();
}

function die() {
  process.kill(process.pid, 'SIGKILL');
  // The signal comes at once, but not within this statement.
  for (;;);
}

const embedded = {};
for (const name of ['run', 'all']) {
  const original = StatementSync.prototype[name];
  StatementSync.prototype[name] = function (...values) {
    const done = follow(embedded, this.sourceSQL);
    const result = original.apply(this, values);
    done();
    return result;
  };
}

const trails = new WeakMap();
// oxlint-disable-next-line typescript/unbound-method -- it is called with its own this below
const query = pg.Client.prototype.query;
pg.Client.prototype.query = function (text, ...rest) {
  if (typeof text !== 'string') return query.call(this, text, ...rest);
  if (!trails.has(this)) trails.set(this, {});
  const done = follow(trails.get(this), text);
  const result = query.call(this, text, ...rest);
  return result instanceof Promise ? result.then(rows => (done(), rows)) : result;
};

const shift = Number(process.env.CLOCK_SHIFT_MS ?? 0);
if (shift !== 0) {
  const now = Date.now.bind(Date);
  Date.now = () => now() + shift;
}
