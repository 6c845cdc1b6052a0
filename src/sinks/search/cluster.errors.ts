import { classifyStatus } from '../../outgoing/http.js';
import { Misconfigured, Refused, type SinkError, TryAgain } from '../errors.js';
import { member } from './document.js';
import { type ErrorMeaning, Gone, withCode } from './engine.js';

/** Error types whose status is not specific enough; followed by the status where a type has several meanings. */
const meanings: Record<string, ErrorMeaning> = {
  index_not_found_exception: [Gone, ['rebuild_then']],
  index_closed_exception: [Misconfigured, ['open_index']],
  // For a full disk newer engines answer 429, older ones 403; for an index blocked by a person all answer 403.
  'cluster_block_exception 429': [TryAgain, ['free_disk']],
  'cluster_block_exception 403': [Misconfigured, ['unblock_writing']],
  index_create_block_exception: [Misconfigured, ['unblock_creating']],
  security_exception: [Misconfigured, ['cluster_credentials']],
  circuit_breaking_exception: [TryAgain, ['cluster_memory']],
  // Has status 400 when deleting an index.
  snapshot_in_progress_exception: [TryAgain, ['cluster_snapshot']],
  invalid_index_name_exception: [Misconfigured, ['index_name']],
};

/** Maps the response of a call, or of one document in a bulk, to an error; `null` means success. */
export function classifyClusterError(status: number, answer: unknown, retryAfter: unknown, now: number): SinkError | null {
  const byStatus = classifyStatus(status, retryAfter, now);
  const type = errorType(answer);
  if (byStatus === null || type === null) return byStatus;
  const known = [`${type} ${status}`, type].find(name => Object.hasOwn(meanings, name));
  if (known !== undefined) return withCode(byStatus, type, meanings[known]);
  return withCode(byStatus, type, byStatus instanceof Refused ? [Refused, ['fix_mapping']] : undefined);
}

/** The error type, if it is well-formed; the reason is not used because it may quote the document. */
export function errorType(answer: unknown): string | null {
  const type = member(member(answer, 'error'), 'type');
  return typeof type === 'string' && /^[a-z_]{1,100}$/.test(type) ? type : null;
}
