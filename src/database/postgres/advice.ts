/** Advice for errors whose code and message match; the first match counts. */
const advice: readonly [RegExp, string][] = [
  [
    /SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(GET_ISSUER|VERIFY)/,
    'Its certificate is from a CA unknown here: add sslrootcert=/path/to/ca.pem to DATABASE_URL',
  ],
  [
    /SELF_SIGNED/,
    'Its certificate is self-signed: add sslrootcert=/path/to/a/copy.pem to DATABASE_URL, or sslmode=no-verify to trust whoever answers',
  ],
  [/ALTNAME_INVALID|HOSTNAME_MISMATCH/, 'Put a host name into DATABASE_URL that its certificate is for'],
  [/CERT_(HAS_EXPIRED|NOT_YET_VALID)/, 'Renew its certificate; if that is valid, set the clock of this machine'],
  [/does not support SSL/, 'Turn TLS on there (ssl = on), or use sslmode=disable where the network can be trusted'],
  [/^(ENOENT|EACCES) connect /, 'Check that it runs, and the folder of its socket in DATABASE_URL'],
  [
    /^(ENOENT|EACCES|EPERM|EISDIR|ENOTDIR|ERR_OSSL)|PEM/,
    'Put PEM files that can be read where sslrootcert, sslcert and sslkey of DATABASE_URL point',
  ],
  [/^ERR_SSL|^EPROTO/, 'Check that it speaks TLS on this port, and that sslcert and sslkey of DATABASE_URL are of a CA that it knows'],
  [/^28/, 'Check user and password in DATABASE_URL, a client certificate (sslcert, sslkey) if it wants one, and pg_hba.conf'],
  [/^(3D000|57P04)/, 'Create this database, or correct its name in DATABASE_URL'],
  [/^42501/, 'Grant this user connect on the database, create and usage on the schema, and all on its tables, without row-level security'],
  [/^42P01/, 'Its tables are missing: restore them, or restart channel-sync, which creates them again and records what was spooled'],
  [
    /^53300|no more connections|timeout exceeded/,
    'Allow this user more connections: max_connections, the limit of the role or the database, or the sizes of the pooler',
  ],
  [/^53100|No space left/, 'Make room on the disk of PostgreSQL'],
  [/^25006/, 'It is read-only: after a failover, let the host name lead to the new primary'],
  [/^57P01/, 'It is stopping, or an administrator ended the connection: wait, or see why it does not come up'],
  [/^57P0[23]/, 'It is starting or stopping: wait, or see why it does not come up'],
  [/^25P03/, 'Check whether this machine was suspended or is overloaded: a transaction of channel-sync was left idle'],
  [/^(25P04|57P05)/, 'Raise transaction_timeout and idle_session_timeout of this user, or set them to 0'],
  [/startup parameter/, 'Take this parameter out of DATABASE_URL, or add it to ignore_startup_parameters of PgBouncer'],
  [/^(ENOTFOUND|EAI_)/, 'Check the host name in DATABASE_URL, and DNS'],
  [/^ECONNREFUSED/, 'Check that it runs, and host and port in DATABASE_URL'],
  [/^(ETIMEDOUT|EHOST|ENET)|time-?out/i, 'Check the network and its firewalls, and whether the server is overloaded'],
];

/** Log fields for a database error: its message, and advice where we have some. */
export function explain(error: Error): { error: string; advice?: string } {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const found = advice.find(([pattern]) => pattern.test(`${code} ${message}`));
  return { error: message, ...(found && { advice: found[1] }) };
}
