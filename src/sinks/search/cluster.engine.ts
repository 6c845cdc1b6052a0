import type { ChannelKey, Difference } from '../search-sink.js';
import { Misconfigured, Refused, type SinkError } from '../errors.js';
import type { Cluster, ClusterAnswer, ClusterCall } from './cluster.js';
import { type ClusterError, classifyClusterError } from './cluster.errors.js';
import { type Entry, type Found, member, nameOf } from './document.js';
import { type Engine, type Indices, type Results, indexName, indexNumber, noEngine, tooOld, unknownAnswer, wrongEngine } from './engine.js';
import { markOf, newIndex, newMark } from './mapping.js';

/** Who answers at `GET /`. */
export interface Product {
  name: 'OpenSearch' | 'Elasticsearch';
  /** The oldest major version that works. */
  least: number;
}

/** What both OpenSearch and Elasticsearch understand, since the one was made out of the other. The alias is what is searched; a second one, `-next`, leads to the index that is being built. */
export class ClusterEngine implements Engine {
  readonly name: string;
  private readonly nextAlias: string;

  constructor(
    private readonly cluster: Cluster,
    private readonly product: Product,
    private readonly alias: string,
    private readonly analyzer: string,
    private readonly now: () => number,
  ) {
    this.name = product.name;
    this.nextAlias = `${alias}-next`;
  }

  async check(signal: AbortSignal): Promise<void> {
    const answer = await this.cluster.request({ method: 'GET', path: '/' }, signal);
    // Credentials for the index alone may not ask this; whatever is there will answer the next question.
    if (answer.status === 403 && errorType(answer.body) === 'security_exception') return;
    this.throwUnlessDone(answer);
    const found = productOf(answer.body);
    if (!found) throw noEngine(this.name);
    if (found.name !== this.name) throw wrongEngine(found.name, this.name);
    if (found.major < this.product.least) throw tooOld(this.name, `${this.name} ${this.product.least}.0`);
  }

  async indices(signal: AbortSignal): Promise<Indices | null> {
    const used = await this.behind(this.alias, 'INDEX', signal);
    return used && { used: used.index, outdated: used.outdated, next: await this.behind(this.nextAlias, this.nextAlias, signal) };
  }

  async create(index: string, as: 'used' | 'next' | 'anew', signal: AbortSignal): Promise<void> {
    if (as === 'anew') await this.drop(index, signal);
    const json = newIndex(as === 'used' ? this.alias : this.nextAlias, this.analyzer);
    const answer = await this.cluster.request({ method: 'PUT', path: `/${index}`, json }, signal);
    // Another replica was faster.
    if (errorType(answer.body) === 'resource_already_exists_exception') return;
    if (answer.status === 400 && errorType(answer.body) === 'mapper_parsing_exception') {
      throw new Misconfigured(
        'the cluster does not take our mapping',
        `Check that it has the analyzer that ANALYZER names (${this.analyzer}); some come with plugins.`,
        answer.status,
      );
    }
    this.throwUnlessDone(answer);
  }

  async drop(index: string, signal: AbortSignal): Promise<void> {
    const answer = await this.cluster.request({ method: 'DELETE', path: `/${index}` }, signal);
    if (errorType(answer.body) !== 'index_not_found_exception') this.throwUnlessDone(answer);
  }

  /** By alias, so that it never makes an index, and ends in the right one even while aliases change. The engine itself refuses what is older than the version that it has. */
  async write(entries: readonly Entry[], next: string | null, signal: AbortSignal): Promise<Results> {
    const _index = next === null ? this.alias : this.nextAlias;
    const lines = entries.map(({ key, document, version }) => {
      const action = { index: { _index, _id: nameOf(key), version, version_type: 'external' } };
      return `${JSON.stringify(action)}\n${JSON.stringify(document)}\n`;
    });
    const answer = await this.bulk(lines, { require_alias: 'true' }, signal);
    const items = itemsOf(
      answer.body,
      'index',
      entries.map(entry => nameOf(entry.key)),
    );
    if (!items) throw unknownAnswer(this.name, answer.status);
    return items.map(item => this.failure(item));
  }

  async page(after: ChannelKey | null, size: number, signal: AbortSignal): Promise<Found[]> {
    this.throwUnlessDone(await this.cluster.request({ method: 'POST', path: `/${this.alias}/_refresh` }, signal));
    for (;;) {
      const json = {
        size,
        version: true,
        track_total_hits: false,
        sort: [{ sdkAppId: 'asc' }, { channelId: 'asc' }],
        ...(after && { search_after: [after.sdkAppId, after.channelId] }),
      };
      const answer = await this.cluster.request({ method: 'POST', path: `/${this.alias}/_search`, json }, signal);
      this.throwUnlessDone(answer);
      const hits = member(member(answer.body, 'hits'), 'hits');
      if (Array.isArray(hits)) return hits.flatMap(foundIn);
      // Perhaps it was too long.
      if (size === 1) throw unknownAnswer(this.name, answer.status);
      size = Math.ceil(size / 4);
    }
  }

  /** By sequence numbers: what was written since is kept, and, unlike with a version, no index is made if it is gone. */
  async remove(index: string, surplus: readonly Difference[], signal: AbortSignal): Promise<void> {
    if (surplus.length === 0) return;
    const call = { method: 'POST', path: `/${index}/_mget`, query: { _source: 'false' }, json: { ids: surplus.map(nameOf) } } as const;
    const answer = await this.cluster.request(call, signal);
    this.throwUnlessDone(answer);
    const versions = new Map(surplus.map(one => [nameOf(one), one.version]));
    const documents = member(answer.body, 'docs');
    if (!Array.isArray(documents)) throw unknownAnswer(this.name, answer.status);
    const known = documents.filter(
      one => member(one, 'found') === true && member(one, '_version') === versions.get(String(member(one, '_id'))),
    );
    if (known.length === 0) return;
    const actions = known.map(one => ({
      delete: { _index: index, _id: member(one, '_id'), if_seq_no: member(one, '_seq_no'), if_primary_term: member(one, '_primary_term') },
    }));
    const done = await this.bulk(
      actions.map(action => `${JSON.stringify(action)}\n`),
      {},
      signal,
    );
    const items = itemsOf(
      done.body,
      'delete',
      known.map(one => String(member(one, '_id'))),
    );
    if (!items) throw unknownAnswer(this.name, done.status);
    const [error] = items.flatMap(item => (item.status === 404 ? [] : (this.failure(item) ?? [])));
    if (error) throw error;
  }

  /** In one call, and once all that was written can be found, so that nobody ever finds nothing, half, or both. */
  async swap(used: string, next: string, signal: AbortSignal): Promise<void> {
    this.throwUnlessDone(await this.cluster.request({ method: 'POST', path: `/${next}/_refresh` }, signal));
    const actions = [
      { add: { index: next, alias: this.alias } },
      { remove: { index: next, alias: this.nextAlias } },
      { remove: { index: used, alias: this.alias } },
    ];
    const answer = await this.cluster.request({ method: 'POST', path: '/_aliases', json: { actions } }, signal);
    // Another process was faster, which the next look tells.
    if (answer.status !== 404) this.throwUnlessDone(answer);
  }

  async leftover(used: string, signal: AbortSignal): Promise<string | null> {
    const index = indexName(this.alias, (indexNumber(this.alias, used) ?? 0) - 1);
    const found = await this.mappings(index, signal);
    return markOf(member(found, index)) && index;
  }

  close(): void {
    this.cluster.close();
  }

  private async bulk(lines: readonly string[], query: Record<string, string>, signal: AbortSignal): Promise<ClusterAnswer> {
    const call: ClusterCall = { method: 'POST', path: '/_bulk', query, lines: lines.join('') };
    const answer = await this.cluster.request(call, signal);
    const error = classifyClusterError(answer.status, errorOf(answer.body), answer.retryAfter, this.now());
    if (error) throw error;
    return answer;
  }

  /** What there is of a name, by index; `null` if there is nothing. */
  private async mappings(name: string, signal: AbortSignal): Promise<object | null> {
    const answer = await this.cluster.request({ method: 'GET', path: `/${name}/_mapping` }, signal);
    if (answer.status === 404 && errorType(answer.body) === 'index_not_found_exception') return null;
    this.throwUnlessDone(answer);
    const { body } = answer;
    if (typeof body !== 'object' || body === null || Array.isArray(body) || Object.keys(body).length === 0) throw noEngine(this.name);
    return body;
  }

  /** The one index of ours behind an alias; `null` if there is nothing of this name. Throws if there is anything else. */
  private async behind(alias: string, told: string, signal: AbortSignal): Promise<{ index: string; outdated: boolean } | null> {
    const found = await this.mappings(alias, signal);
    if (found === null) return null;
    const indices = Object.keys(found);
    if (indices.length > 1) {
      throw new Misconfigured(
        `${told} is an alias of ${indices.length} indices`,
        'Let the alias point at the one index that channel-sync made.',
      );
    }
    const [index = ''] = indices;
    if (index === alias) {
      const advice = 'Set INDEX to another name, or delete or rename that index; nothing was written to it.';
      throw new Misconfigured(`${told} is an index, not an alias`, advice);
    }
    const ours = markOf(member(found, index));
    if (ours === null || (alias === this.nextAlias && indexNumber(this.alias, index) === null)) {
      const advice = 'Set INDEX to another name, or remove that alias; nothing was written to it.';
      throw new Misconfigured(`${told} is an alias of an index that channel-sync did not make`, advice);
    }
    return { index, outdated: JSON.stringify(ours) !== JSON.stringify(newMark(this.analyzer)) };
  }

  /** What the answer to one document means. */
  private failure({ status, error }: Item): SinkError | null {
    if (status === 409 && error.type === 'version_conflict_engine_exception') return null;
    return classifyClusterError(status, error, undefined, this.now());
  }

  /** A refusal of what is not about documents is about the set-up: no delivery may be parked for it. */
  private throwUnlessDone({ status, retryAfter, body }: ClusterAnswer): void {
    const error = classifyClusterError(status, errorOf(body), retryAfter, this.now());
    if (!(error instanceof Refused)) {
      if (error) throw error;
      return;
    }
    const advice = 'The index cannot be looked up or made: see the log of the search engine for why.';
    throw new Misconfigured(error.message, advice, status);
  }
}

/** Who answered `GET /`; `null` if it is neither. */
function productOf(body: unknown): { name: string; major: number } | null {
  if (member(body, 'status') === 'Meilisearch is running') return { name: 'Meilisearch', major: 0 };
  const version = member(body, 'version');
  const number = member(version, 'number');
  if (typeof number !== 'string') return null;
  const name = member(version, 'distribution') === 'opensearch' ? 'OpenSearch' : 'Elasticsearch';
  return { name, major: Number.parseInt(number, 10) };
}

interface Item {
  status: number;
  error: ClusterError;
}

/** What a bulk answer says of each document, in their order; `null` if it is no answer to them, so that nobody knows what was done. */
function itemsOf(answer: unknown, verb: 'index' | 'delete', ids: readonly string[]): Item[] | null {
  const items = member(answer, 'items');
  if (!Array.isArray(items) || items.length !== ids.length) return null;
  const found = ids.flatMap((id, at) => {
    const item = member(items[at], verb);
    const status = member(item, 'status');
    return typeof status === 'number' && member(item, '_id') === id ? [{ status, error: errorOf(item) }] : [];
  });
  return found.length === ids.length ? found : null;
}

function foundIn(hit: unknown): Found[] {
  const [version, document, sort] = [member(hit, '_version'), member(hit, '_source'), member(hit, 'sort')];
  const [sdkAppId, channelId]: unknown[] = Array.isArray(sort) ? sort : [];
  if (typeof sdkAppId !== 'string' || typeof channelId !== 'string' || typeof version !== 'number') return [];
  return [{ key: { sdkAppId, channelId }, document: document as Found['document'], version }];
}

/** What an answer says went wrong. */
function errorOf(answer: unknown): ClusterError {
  const error = member(answer, 'error');
  return { type: errorType(answer), reason: String(member(error, 'reason')) };
}

/** The type word of an error; never its reason, which may quote the document. */
function errorType(answer: unknown): string | null {
  const type = member(member(answer, 'error'), 'type');
  return typeof type === 'string' && /^[a-z_]{1,100}$/.test(type) ? type : null;
}
