// Loaded with --import into the built service: throws what nobody catches (THROW) before it listens
// (THROW_AT=start) or at each SIGUSR2, and spoils its end (SPOIL_END).
import { Server } from 'node:http';

const throws = {
  exception: () => process.nextTick(thrown),
  rejection: () => void Promise.reject(error()),
  nothing: () => void Promise.reject(undefined),
};
const error = () => new Error(`thrown on purpose, with ${process.env.WEBHOOK_TOKENS}`);
function thrown() {
  throw error();
}

const { THROW, THROW_AT, SPOIL_END } = process.env;
process.on('SIGUSR2', () => throws[THROW]());

// oxlint-disable-next-line typescript/unbound-method -- they are called with their own this below
const { close, listen } = Server.prototype;
Server.prototype.listen = function (...where) {
  if (THROW_AT !== 'start') return listen.apply(this, where);
  throws[THROW]();
  // Node tells of a rejection only when there is nothing else to do.
  setTimeout(() => listen.apply(this, where), 10);
  return this;
};
Server.prototype.close = function (done) {
  if (SPOIL_END === 'failure') throw new Error('the end fails on purpose');
  return SPOIL_END === 'hang' ? this : close.call(this, done);
};
if (SPOIL_END) {
  const later = globalThis.setTimeout;
  // Nobody wants to wait for the end of a drain that hangs.
  globalThis.setTimeout = (work, ms, ...rest) => later(work, ms > 20_000 && ms < 25_000 ? 1000 : ms, ...rest);
}
