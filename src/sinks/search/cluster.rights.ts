import { Misconfigured, type SinkError } from '../errors.js';
import { classifyClusterError } from './cluster.errors.js';
import { member } from './document.js';
import { type Indices, indexName } from './engine.js';
import type { RestClient } from './rest-client.js';

/** Checks that searching is allowed and a new index could be created; `null` if so, or if it cannot be determined. */
export async function rightsError(
  client: RestClient,
  { alias, analyzer, asksRights }: { alias: string; analyzer: string; asksRights: boolean },
  indices: Indices | null,
  signal: AbortSignal,
): Promise<SinkError | null> {
  if (indices) {
    const { status, body, retryAfter } = await client.call({ method: 'POST', path: `/${alias}/_search`, json: { size: 0 } }, signal);
    const error = classifyClusterError(status, body, retryAfter, 0);
    if (error) return error;
  }
  if (!indices || indices.outdated) {
    // Credentials restricted to the index may not call this; a wrong analyzer then shows when the index is created.
    const { status } = await client.call({ method: 'POST', path: '/_analyze', json: { analyzer, text: 'channel' } }, signal);
    if (status === 400) return new Misconfigured(['no_analyzer', analyzer], ['check_analyzer', analyzer], status);
  }
  if (!asksRights) return null;
  // Privileges may be granted on the alias or on the index. A cluster without security does not answer 200: there everything is allowed.
  const names = [alias, indices?.used ?? indexName(alias, 1)];
  const json = { index: [{ names, privileges: indices ? ['read', 'write'] : ['read', 'write', 'manage'] }] };
  const { status, body } = await client.call({ method: 'POST', path: '/_security/user/_has_privileges', json }, signal);
  const granted = names.map(name => Object.values(Object(member(member(body, 'index'), name)) as object));
  if (status !== 200 || granted.some(rights => rights.every(Boolean))) return null;
  return classifyClusterError(403, { error: { type: 'security_exception' } }, null, 0);
}
