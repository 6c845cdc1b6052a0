import { types } from 'node:util';

/**
 * Whose fault an error is, and so what helps:
 * - `conflict`: the transaction lost against another one; it may be tried again as it is
 * - `data`: the database takes others, but never these values
 * - `server`: there is no connection, or it leads to a server that cannot serve us (read-only, shutting down); a new one may lead to another
 * - `database`: it answers, and cannot do this now: its disk is full, it is too slow, we lack a right
 * - `files`: a file or folder of this machine
 * - `bug`: our own code
 */
export type Fault = 'conflict' | 'data' | 'server' | 'database' | 'files' | 'bug';

/** The database cannot be used as it is, and trying again would not help. The message says why, and what to do. */
export class UnusableDatabase extends Error {}

/** SQLSTATE by class, or whole where the class is of several minds. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const sqlStates: readonly [RegExp, Fault][] = [
  [/^40/, 'conflict'],
  [/^(22|23|54)/, 'data'],
  // Read-only; idle for too long in a transaction, or the transaction too long: such a connection is closed.
  [/^(08|25006$|25P0[34]$|57P0)/, 'server'],
  [/^[0-9A-Z]{5}$/, 'database'],
];

/** SQLite's result codes for a value that is too big, violates a constraint, or is of the wrong type. */
const sqliteData = [18, 19, 20];

const network =
  /^(ECONN\w+|EPIPE|EPROTO|ETIMEDOUT|EHOST\w+|ENET\w+|EADDR\w+|ENOTFOUND|EAI_\w+|ERR_(TLS|SSL|OSSL)_\w+|CERT_\w+|\w+_CERT\w*|UNABLE_TO_\w+|HOSTNAME_MISMATCH)$/;

/** What `pg` says of a connection that was lost, cannot be had, or does not answer; it gives no code. */
const lostConnection = /^(Query read timeout|Connection terminated|Client (has|was) |timeout expired|.*SSL connection)/;

const bugs = ['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'EvalError', 'URIError', 'AssertionError'];

/** Whose fault it is that something to do with the database failed, on either dialect. */
export function faultOf(error: unknown): Fault {
  if (!types.isNativeError(error)) return 'bug';
  const { code, errcode, syscall, path } = error as NodeJS.ErrnoException & { errcode?: number };
  if (errcode !== undefined) return sqliteData.includes(errcode & 0xff) ? 'data' : 'database';
  // What the name of the host or the server's socket comes to, whatever the code.
  if (syscall === 'connect' || syscall === 'getaddrinfo') return 'server';
  if (path === undefined && network.test(code ?? '')) return 'server';
  if (syscall !== undefined) return 'files';
  // A SQLSTATE has five characters, such as 53100 or 57P01, and always a digit among them.
  const state = /^(?=.*\d)[0-9A-Z]{5}$/.test(code ?? '') ? sqlStates.find(([of]) => of.test(code!)) : undefined;
  if (state) return state[1];
  if (bugs.includes(error.name)) return 'bug';
  return lostConnection.test(error.message) ? 'server' : 'database';
}
