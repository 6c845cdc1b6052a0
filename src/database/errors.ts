import { types } from 'node:util';

/**
 * The cause of an error, which decides what to do:
 * - `conflict`: the transaction conflicted with another one; retry it unchanged
 * - `data`: the database will never accept these values
 * - `server`: no connection, or the server cannot serve us (read-only, shutting down); a new connection may reach another server
 * - `database`: the server responds but cannot do this now: disk full, too slow, missing privilege
 * - `files`: a local file or folder
 * - `bug`: our own code
 */
export type Fault = 'conflict' | 'data' | 'server' | 'database' | 'files' | 'bug';

/** The database cannot be used and retrying would not help. The message says why and what to do. */
export class UnusableDatabase extends Error {}

/** What to do about the file or folder of the embedded store, where the error tells. */
export function fileAdvice({ code = '' }: NodeJS.ErrnoException): string | undefined {
  if (code === 'EROFS') return 'name a path on a file system that is not read-only';
  if (code === 'EACCES' || code === 'EPERM') return 'let the user of the service read and write there, or name another path';
  return code === 'ENOSPC' ? 'free some space on that disk' : undefined;
}

/** SQLSTATEs, by class or, where a class is mixed, by code. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const sqlStates: readonly [RegExp, Fault][] = [
  [/^40/, 'conflict'],
  [/^(22|23|54)/, 'data'],
  // Read-only; idle in a transaction, or in a transaction for too long: the server then closes the connection.
  [/^(08|25006$|25P0[34]$|57P0)/, 'server'],
  [/^[0-9A-Z]{5}$/, 'database'],
];

/** SQLite's result codes for a value that is too large, violates a constraint or has the wrong type. */
const sqliteData = [18, 19, 20];

const network =
  /^(ECONN\w+|EPIPE|EPROTO|ETIMEDOUT|EHOST\w+|ENET\w+|EADDR\w+|ENOTFOUND|EAI_\w+|ERR_(TLS|SSL|OSSL)_\w+|CERT_\w+|\w+_CERT\w*|UNABLE_TO_\w+|HOSTNAME_MISMATCH)$/;

/** Messages of `pg`, which have no code, for a connection that is lost, cannot be opened or does not respond. */
const lostConnection = /^(Query read timeout|Connection terminated|Client (has|was) |timeout expired|.*SSL connection)/;

const bugs = ['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'EvalError', 'URIError', 'AssertionError'];

/** Classifies an error of a database operation, on either dialect. */
export function faultOf(error: unknown): Fault {
  if (!types.isNativeError(error)) return 'bug';
  const { code, errcode, syscall, path } = error as NodeJS.ErrnoException & { errcode?: number };
  if (errcode !== undefined) return sqliteData.includes(errcode & 0xff) ? 'data' : 'database';
  // Failed to resolve the host name or to connect, whatever the code.
  if (syscall === 'connect' || syscall === 'getaddrinfo') return 'server';
  if (path === undefined && network.test(code ?? '')) return 'server';
  if (syscall !== undefined) return 'files';
  // A SQLSTATE has five characters, at least one of them a digit: 53100, 57P01.
  const state = /^(?=.*\d)[0-9A-Z]{5}$/.test(code ?? '') ? sqlStates.find(([pattern]) => pattern.test(code!)) : undefined;
  if (state) return state[1];
  if (bugs.includes(error.name)) return 'bug';
  return lostConnection.test(error.message) ? 'server' : 'database';
}
