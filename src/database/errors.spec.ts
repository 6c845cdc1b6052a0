import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';
import { type Fault, UnusableDatabase, faultOf, fileAdvice } from './errors.js';
import { openSqlite } from './sqlite.js';

const coded = (code: string, more: object = {}): Error => Object.assign(new Error('planted'), { code, ...more });

const byCode: Record<Fault, string[]> = {
  conflict: ['40001', '40P01'],
  data: ['22021', '22003', '22P05', '23502', '23505', '54000'],
  server: ['25006', '25P03', '25P04', '57P01', '57P02', '57P03', '57P04', '08000', '08006', '08P01'].concat(
    ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'EPROTO'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_HAS_EXPIRED'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'ERR_SSL_WRONG_VERSION_NUMBER'],
  ),
  // Among them: cancelled by statement_timeout, disk full, out of memory, too many connections, no privilege, no table, login refused.
  database: ['57014', '53100', '53200', '53300', '42501', '42P01', '25P02', '28P01', '3D000', '58030', 'XX000', '0A000', '55P03'],
  files: [],
  bug: [],
};

test.each(Object.entries(byCode).flatMap(([fault, codes]) => codes.map(code => [code, fault])))('%s means %s', (code, fault) => {
  expect(faultOf(coded(code))).toBe(fault);
});

test('what pg says without a code means the server', () => {
  const texts = ['Query read timeout', 'Connection terminated unexpectedly', 'Connection terminated due to connection timeout'];
  texts.push('timeout expired', 'Client was closed and is not queryable');
  texts.push('Client has encountered a connection error and is not queryable', 'The server does not support SSL connections');
  expect(texts.map(text => faultOf(new Error(text)))).toEqual(texts.map(() => 'server'));
  // All connections of the pool are busy, which is no reason to discard them.
  expect(faultOf(new Error('timeout exceeded when trying to connect'))).toBe('database');
});

// Seen failing: a read-only folder was told without what to do, or as a matter of rights.
test('what to do about a file is told with its error', async () => {
  expect(fileAdvice(coded('EROFS'))).toBe('name a path on a file system that is not read-only');
  expect(fileAdvice(coded('EACCES'))).toMatch(/^let the user of the service read and write there/);
  expect(fileAdvice(coded('ENOTDIR'))).toBe(undefined);
  // Not even root may create a folder there.
  const error: unknown = await openSqlite('/sys/channel-sync/a.db', 0, () => undefined).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UnusableDatabase);
  expect((error as Error).message).toMatch(/^\/sys\/channel-sync\/a\.db: (Error: )?E(PERM|ROFS|ACCES): .*: (let|name) /);
});

test('our own code, whatever it throws', () => {
  const thrown = [new TypeError('x is not a function'), new RangeError('Invalid time value'), new SyntaxError('bad JSON'), 'text', null];
  expect(thrown.map(faultOf)).toEqual(thrown.map(() => 'bug'));
  expect(faultOf(new Error('whatever a library says'))).toBe('database');
});

test('the real errors of files, sockets and both databases', async () => {
  const file = await writeFile('/dev/full', 'x').catch((error: Error) => error);
  const missing = await once(createReadStream('/nowhere/at/all'), 'open').catch((error: Error) => error);
  const socket = connect('/nowhere/at/all');
  const [unixSocket] = (await once(socket, 'error')) as [Error];
  expect([file, missing, unixSocket].map(faultOf)).toEqual(['files', 'files', 'server']);
  // Also a network file system, and a read-only or full folder, even if the error names no path.
  const filed = [coded('ETIMEDOUT', { syscall: 'open', path: '/spool' }), coded('EROFS', { syscall: 'mkdir', path: '/spool' })];
  expect([...filed, coded('ENOSPC', { syscall: 'write' }), coded('EIO', { syscall: 'fdatasync' })].map(faultOf)).toEqual(
    Array<string>(4).fill('files'),
  );

  const lite = new DatabaseSync(':memory:');
  lite.exec('create table t (a int not null unique) strict; pragma query_only = on');
  const liteError = (work: () => unknown): unknown => {
    try {
      return work();
    } catch (error) {
      return error;
    }
  };
  expect(faultOf(liteError(() => lite.exec('insert into t values (1)')))).toBe('database');
  lite.exec('pragma query_only = off; insert into t values (1)');
  for (const values of ['(null)', '(1)', "('text')"])
    expect(faultOf(liteError(() => lite.exec(`insert into t values ${values}`)))).toBe('data');
  lite.close();
  expect(faultOf(liteError(() => lite.exec('select 1')))).toBe('database');

  const client = new pg.Client({ connectionString: `${process.env['TEST_POSTGRES_URL']}/postgres` });
  await client.connect();
  const failure = (text: string, values: unknown[] = []): Promise<unknown> => client.query(text, values).catch((error: Error) => error);
  expect(faultOf(await failure('select $1::text', ['a\0']))).toBe('data');
  expect(faultOf(await failure("select set_config('statement_timeout', '10', false), pg_sleep(1)"))).not.toBe('data');
  expect(faultOf(await failure('begin read only; create table t (a int)'))).toBe('server');
  await client.query('rollback');
  client.on('error', () => undefined);
  expect(faultOf(await failure('select pg_terminate_backend(pg_backend_pid())'))).toBe('server');
  expect(faultOf(await failure('select 1'))).toBe('server');
});
