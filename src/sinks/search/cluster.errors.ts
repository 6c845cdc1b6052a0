import { classifyStatus } from '../../outgoing/http.js';
import { Misconfigured, Refused, type SinkError, TryAgain } from '../errors.js';
import { member } from './document.js';
import { Gone } from './engine.js';

type Meaning = [kind: new (message: string, advice: string, status: number | null, retryAfterMs?: number) => SinkError, advice: string];

const disk: Meaning = [TryAgain, 'A disk of the search engine is too full: free some space; it goes on by itself then.'];
const blocked: Meaning = [
  Misconfigured,
  'Writing is blocked: free disk space on the cluster if it is short of it, then remove the block (index.blocks.*, cluster.blocks.*).',
];
const noNewIndex: Meaning = [
  Misconfigured,
  'The cluster makes no new index: free disk space on it if it is short of it, then remove the block (cluster.blocks.create_index).',
];
const starting: Meaning = [
  TryAgain,
  'The cluster is starting, or has no elected manager node: see its log if it lasts; it is tried again by itself.',
];
const busy: Meaning = [TryAgain, 'The cluster has more to do than it can: give it more capacity if it lasts; it is tried again by itself.'];
const memory: Meaning = [TryAgain, 'The cluster is short of memory: give its nodes more if it lasts; it is tried again by itself.'];
const shards: Meaning = [TryAgain, 'A shard of the index is not available: see the health of the cluster; it is tried again by itself.'];
const document: Meaning = [
  Refused,
  'The index does not take this document: compare its mapping with the one of a new index, mend that, then replay.',
];

/** Errors whose status says too little, by their type; with the status behind it where one type has several meanings. */
const meanings: Record<string, Meaning> = {
  index_not_found_exception: [Gone, 'The index went away: the next try makes it anew. Rebuild it then.'],
  index_closed_exception: [Misconfigured, 'The index behind the alias is closed: open it.'],
  // Newer engines answer 429 when a disk is too full, older ones 403; all answer 403 when a person blocked the index.
  'cluster_block_exception 429': disk,
  'cluster_block_exception 403': blocked,
  'cluster_block_exception 503': starting,
  index_create_block_exception: noNewIndex,
  security_exception: [
    Misconfigured,
    'Check the credentials of this sink, and that they may read, write and manage INDEX, INDEX-next and the indices INDEX-v*.',
  ],
  circuit_breaking_exception: memory,
  es_rejected_execution_exception: busy,
  rejected_execution_exception: busy,
  process_cluster_event_timeout_exception: busy,
  unavailable_shards_exception: shards,
  no_shard_available_action_exception: shards,
  master_not_discovered_exception: starting,
  cluster_manager_not_discovered_exception: starting,
  // Comes with status 400 when an index is to be deleted.
  snapshot_in_progress_exception: [TryAgain, 'A snapshot of the index is being made: it is tried again by itself.'],
  invalid_index_name_exception: [Misconfigured, 'Set INDEX to a name that the search engine takes.'],
  mapper_parsing_exception: document,
  document_parsing_exception: document,
  strict_dynamic_mapping_exception: document,
  illegal_argument_exception: document,
};

/** Limits, whose types have other meanings, too. The reason is matched, never repeated: it may quote the document. */
const limits: [reason: RegExp, Meaning][] = [
  [
    /^limit of total fields/i,
    [Misconfigured, 'The index has as many fields as it may: raise its index.mapping.total_fields.limit, or rebuild it.'],
  ],
  [
    /maximum (normal )?shards open/,
    [Misconfigured, 'The cluster takes no more shards: delete indices that nobody needs, or raise cluster.max_shards_per_node.'],
  ],
];

/** What an answer with this status means, of a whole call or, in a bulk, of one document; `null` is done. */
export function classifyClusterError(status: number, answer: unknown, retryAfter: string | null, now: number): SinkError | null {
  const byStatus = classifyStatus(status, retryAfter, now);
  const type = errorType(answer);
  if (byStatus === null || type === null) return byStatus;
  const reason = String(member(member(answer, 'error'), 'reason'));
  const exact = [`${type} ${status}`, type].find(name => Object.hasOwn(meanings, name));
  const meaning = limits.find(([pattern]) => pattern.test(reason))?.[1] ?? (exact === undefined ? null : meanings[exact]!);
  const [kind, advice] = meaning ?? [byStatus.constructor as Meaning[0], byStatus instanceof Refused ? document[1] : byStatus.advice];
  return new kind(type, advice, status, byStatus instanceof TryAgain ? byStatus.retryAfterMs : 0);
}

/** The type of an error, if it is one word; never its reason, which may quote the document. */
export function errorType(answer: unknown): string | null {
  const type = member(member(answer, 'error'), 'type');
  return typeof type === 'string' && /^[a-z_]{1,100}$/.test(type) ? type : null;
}
