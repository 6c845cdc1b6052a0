import { inEnglish } from '../../explanations/explanation.js';
import { Misconfigured, Refused, TryAgain } from '../errors.js';
import { classifyClusterError } from './cluster.errors.js';
import { Gone } from './engine.js';
import { classifyMeilisearchError } from './meilisearch.api.js';

describe('an error of a cluster', () => {
  it.each<[number, string, string, typeof TryAgain | typeof Refused | typeof Misconfigured, RegExp]>([
    [
      429,
      'cluster_block_exception',
      'index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark]',
      TryAgain,
      /free some space/,
    ],
    [
      403,
      'cluster_block_exception',
      'blocked by: [FORBIDDEN/12/index read-only / allow delete (api)]',
      Misconfigured,
      /free disk space.*remove the block/,
    ],
    [403, 'cluster_block_exception', 'blocked by: [FORBIDDEN/9/index metadata (api)]', Misconfigured, /index.blocks/],
    [503, 'cluster_block_exception', 'blocked by: [SERVICE_UNAVAILABLE/1/state not recovered]', TryAgain, /If it lasts/],
    [
      403,
      'index_create_block_exception',
      'blocked by: [FORBIDDEN/10/cluster create-index blocked (api)]',
      Misconfigured,
      /cluster.blocks.create_index/,
    ],
    [429, 'index_create_block_exception', '', Misconfigured, /cluster.blocks.create_index/],
    [401, 'security_exception', 'missing authentication credentials', Misconfigured, /credentials/],
    [403, 'security_exception', 'no permissions for [indices:data/write/bulk]', Misconfigured, /may read, write and manage INDEX/],
    [400, 'index_closed_exception', 'closed', Misconfigured, /open it/],
    [429, 'circuit_breaking_exception', '[parent] Data too large', TryAgain, /memory/],
    [503, 'circuit_breaking_exception', '[parent] Data too large', TryAgain, /memory/],
    [429, 'es_rejected_execution_exception', 'rejected execution', TryAgain, /If it lasts/],
    [429, 'rejected_execution_exception', 'rejected execution', TryAgain, /If it lasts/],
    [503, 'unavailable_shards_exception', 'primary shard is not active', TryAgain, /If it lasts/],
    [503, 'master_not_discovered_exception', '', TryAgain, /If it lasts/],
    [503, 'cluster_manager_not_discovered_exception', '', TryAgain, /If it lasts/],
    [400, 'snapshot_in_progress_exception', 'Cannot delete indices that are being snapshotted', TryAgain, /snapshot/i],
    [400, 'illegal_argument_exception', 'Document contains at least one immense term', Refused, /mapping/],
    [400, 'mapper_parsing_exception', 'failed to parse', Refused, /mapping/],
    [400, 'document_parsing_exception', 'failed to parse', Refused, /mapping/],
    [400, 'strict_dynamic_mapping_exception', 'mapping set to strict', Refused, /mapping/],
    [400, 'invalid_index_name_exception', 'must be lowercase', Misconfigured, /INDEX/],
    [404, 'index_not_found_exception', 'no such index', Gone, /Rebuild/],
    [400, 'some_exception', 'unheard of', Refused, /mapping/],
    [404, 'some_exception', 'unheard of', Misconfigured, /URL/],
    [500, 'some_exception', 'unheard of', TryAgain, /If it lasts/],
    [400, 'constructor', '', Refused, /mapping/],
  ])('%i %s (%s)', (status, type, reason, kind, advice) => {
    const error = classifyClusterError(status, { error: { type, reason } }, null, 0);
    expect(error?.constructor).toBe(kind);
    expect(error).toMatchObject({ message: type, status });
    expect(error && inEnglish(error.advice)).toMatch(advice);
  });

  it('holds a sink back as long as it asks, and is none with a 2xx', () => {
    const busy = { error: { type: 'es_rejected_execution_exception', reason: '' } };
    expect(classifyClusterError(429, busy, '7', 0)).toMatchObject({ retryAfterMs: 7000 });
    expect(classifyClusterError(200, busy, null, 0)).toBeNull();
    expect(classifyClusterError(503, undefined, null, 0)).toMatchObject({ message: 'answered 503' });
  });
});

it.each<[string, string, typeof TryAgain | typeof Refused | typeof Misconfigured, RegExp]>([
  ['no_space_left_on_device', 'system', TryAgain, /Free disk space/],
  ['database_size_limit_reached', 'internal', TryAgain, /Free disk space/],
  ['too_many_open_files', 'system', TryAgain, /ulimit/],
  ['io_error', 'system', TryAgain, /log/],
  ['invalid_api_key', 'auth', Misconfigured, /API_KEY/],
  ['missing_authorization_header', 'auth', Misconfigured, /API_KEY/],
  ['index_not_found', 'invalid_request', Gone, /Rebuild/],
  ['invalid_document_id', 'invalid_request', Refused, /tasks/],
  ['constructor', 'invalid_request', Refused, /tasks/],
])('an error of Meilisearch: %s', (code, type, kind, advice) => {
  const error = classifyMeilisearchError({ code, type }, new Refused(['answered', 400], ['as_said', ''], 400));
  expect(error.constructor).toBe(kind);
  expect(error).toMatchObject({ message: code, status: 400 });
  expect(inEnglish(error.advice)).toMatch(advice);
});
