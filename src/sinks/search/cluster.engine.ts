import { withResponse } from '../../outgoing/send.js';
import { type ChannelKey, type Difference, keyOf } from '../sink.js';
import { Misconfigured, type SinkError } from '../errors.js';
import { classifyClusterError, errorType } from './cluster.errors.js';
import { type Entry, type Found, member } from './document.js';
import { type Engine, type Indices, type Results, indexName, indexNumber, noEngine, unknownAnswer } from './engine.js';
import { markOf, newIndex, newMark } from './mapping.js';
import type { ApiAnswer, Call, RestClient } from './rest-client.js';

export interface Product {
  name: 'OpenSearch' | 'Elasticsearch';
  /** The first supported major version. */
  minMajor: number;
}

interface Operation {
  action: { _id: string; [more: string]: unknown };
  document?: object;
}

type Item = object & { status: number };

/** The API common to OpenSearch and Elasticsearch. Searches use the alias; a second one, with the suffix `-next`, points to the next index. */
export class ClusterEngine implements Engine {
  readonly name: string;
  private readonly nextAlias: string;

  constructor(
    private readonly client: RestClient,
    private readonly product: Product,
    private readonly alias: string,
    private readonly analyzer: string,
  ) {
    this.name = product.name;
    this.nextAlias = `${alias}-next`;
  }

  async check(signal: AbortSignal): Promise<void> {
    const answer = await this.client.call({ method: 'GET', path: '/' }, signal);
    // Credentials restricted to the index may not read this; the next request shows whether it is a search engine.
    if (answer.status === 403 && errorType(answer.json) === 'security_exception') return;
    const found = productOf(this.jsonOf(answer));
    if (!found) throw noEngine(this.name);
    if (found.name !== this.name) throw new Misconfigured(['wrong_engine', found.name, this.name], ['set_engine']);
    if (found.major < this.product.minMajor)
      throw new Misconfigured(['engine_too_old', this.name], ['upgrade_engine', `${this.name} ${this.product.minMajor}.0`]);
  }

  async checkRights(indices: Indices | null, signal: AbortSignal): Promise<void> {
    const { client, alias, analyzer } = this;
    if (indices) await this.ask({ method: 'POST', path: `/${alias}/_search`, json: { size: 0 } }, signal);
    if (!indices || indices.outdated) {
      // Credentials restricted to the index may not call this; a wrong analyzer then shows when the index is created.
      const { status } = await client.call({ method: 'POST', path: '/_analyze', json: { analyzer, text: 'channel' } }, signal);
      if (status === 400) throw new Misconfigured(['no_analyzer', analyzer], ['check_analyzer', analyzer], status);
    }
    if (this.product.name === 'OpenSearch') return;
    // Privileges may be granted on the alias or on the index. A cluster without security does not answer 200: there everything is allowed.
    const names = [alias, indices?.used ?? indexName(alias, 1)];
    const json = { index: [{ names, privileges: indices ? ['read', 'write'] : ['read', 'write', 'manage'] }] };
    const { status, json: body } = await client.call({ method: 'POST', path: '/_security/user/_has_privileges', json }, signal);
    const granted = names.map(name => Object.values(Object(member(member(body, 'index'), name)) as object));
    if (status === 200 && !granted.some(rights => rights.every(Boolean)))
      throw new Misconfigured(['as_said', 'security_exception'], ['cluster_credentials'], 403);
  }

  async indices(signal: AbortSignal): Promise<Indices | null> {
    const used = await this.indexBehind(this.alias, 'INDEX', signal);
    return used && { used: used.index, outdated: used.outdated, next: await this.indexBehind(this.nextAlias, this.nextAlias, signal) };
  }

  async create(index: string, as: 'used' | 'next' | 'anew', signal: AbortSignal): Promise<void> {
    if (as === 'anew') await this.drop(index, signal);
    const json = newIndex(as === 'used' ? this.alias : this.nextAlias, this.analyzer);
    const answer = await this.client.call({ method: 'PUT', path: `/${index}`, json }, signal);
    const error = errorType(answer.json);
    // Another replica has created it.
    if (error === 'resource_already_exists_exception') return;
    if (error === 'mapper_parsing_exception')
      throw new Misconfigured(['mapping_refused'], ['check_analyzer', this.analyzer], answer.status);
    this.jsonOf(answer);
  }

  async drop(index: string, signal: AbortSignal): Promise<void> {
    const answer = await this.client.call({ method: 'DELETE', path: `/${index}` }, signal);
    if (errorType(answer.json) !== 'index_not_found_exception') this.jsonOf(answer);
  }

  /** Writes through the alias, so that no index is created implicitly and the right one is used even while aliases change. */
  async write(entries: readonly Entry[], next: string | null, signal: AbortSignal): Promise<Results> {
    const _index = next === null ? this.alias : this.nextAlias;
    const operations = entries.map(({ document, version }) => ({
      action: { _index, _id: keyOf(document), version, version_type: 'external' },
      document,
    }));
    return (await this.bulk('index', operations, signal)).map(item => this.failure(item));
  }

  async page(after: ChannelKey | null, size: number, signal: AbortSignal): Promise<Found[] | null> {
    await this.ask({ method: 'POST', path: `/${this.alias}/_refresh` }, signal);
    const sort = [{ sdkAppId: 'asc' }, { channelId: 'asc' }];
    const search_after = after ? [after.sdkAppId, after.channelId] : undefined;
    const json = { size, version: true, track_total_hits: false, sort, search_after };
    // Otherwise the documents of a failing shard would count as missing.
    const query = { allow_partial_search_results: 'false' };
    const body = await this.ask({ method: 'POST', path: `/${this.alias}/_search`, query, json }, signal);
    const hits = member(member(body, 'hits'), 'hits');
    return Array.isArray(hits) ? hits.flatMap(foundIn) : null;
  }

  /** Deletes by sequence number: keeps documents written since and, unlike deleting by version, never creates a missing index. */
  async remove(_index: string, surplus: readonly Difference[], signal: AbortSignal): Promise<void> {
    if (surplus.length === 0) return;
    const call = { method: 'POST', path: `/${_index}/_mget`, query: { _source: 'false' }, json: { ids: surplus.map(keyOf) } } as const;
    const answer = await this.client.call(call, signal);
    const documents = member(this.jsonOf(answer), 'docs');
    if (!Array.isArray(documents)) throw unknownAnswer(this.name, answer.status);
    const versions = new Map(surplus.map(document => [keyOf(document), document.version]));
    const operations = documents.flatMap((hit): Operation[] => {
      const _id = member(hit, '_id');
      if (typeof _id !== 'string' || member(hit, 'found') !== true || member(hit, '_version') !== versions.get(_id)) return [];
      return [{ action: { _index, _id, if_seq_no: member(hit, '_seq_no'), if_primary_term: member(hit, '_primary_term') } }];
    });
    if (operations.length === 0) return;
    const items = await this.bulk('delete', operations, signal);
    const [error] = items.flatMap(item => (item.status === 404 ? [] : (this.failure(item) ?? [])));
    if (error) throw error;
  }

  /** Moves the aliases in one call, after a refresh, so that a search finds each document exactly once at any time. */
  async swap(used: string, next: string, signal: AbortSignal): Promise<void> {
    await this.ask({ method: 'POST', path: `/${next}/_refresh` }, signal);
    const actions = [
      { add: { index: next, alias: this.alias } },
      { remove: { index: next, alias: this.nextAlias } },
      { remove: { index: used, alias: this.alias } },
    ];
    const answer = await this.client.call({ method: 'POST', path: '/_aliases', json: { actions } }, signal);
    // 404: another process has already swapped them; the caller checks which index is used now.
    if (answer.status !== 404) this.jsonOf(answer);
  }

  async leftover(used: string, signal: AbortSignal): Promise<string | null> {
    const index = indexName(this.alias, (indexNumber(this.alias, used) ?? 0) - 1);
    const found = await this.mappings(index, signal);
    return markOf(member(found, index)) && index;
  }

  close(): void {
    this.client.close();
  }

  /** Sends a bulk request and returns the result of each operation, in order. @throws SinkError, also if the response does not match */
  private async bulk(verb: 'index' | 'delete', operations: readonly Operation[], signal: AbortSignal): Promise<Item[]> {
    const lines = operations.flatMap(({ action, document }) => [{ [verb]: action }, ...(document ? [document] : [])]);
    const call = {
      method: 'POST',
      path: '/_bulk',
      ...(verb === 'index' && { query: { require_alias: 'true' } }),
      lines: lines.map(line => `${JSON.stringify(line)}\n`).join(''),
    } as const;
    const answer = await this.client.call(call, signal);
    const items = member(this.jsonOf(answer), 'items');
    const found = (Array.isArray(items) && items.length === operations.length ? items : []).flatMap((entry, at): Item[] => {
      const item = member(entry, verb);
      return typeof member(item, 'status') === 'number' && member(item, '_id') === operations[at]?.action._id ? [item as Item] : [];
    });
    if (found.length !== operations.length) throw unknownAnswer(this.name, answer.status);
    return found;
  }

  /** The mappings of an index, or of all behind an alias, by index; `null` if the name does not exist. */
  private async mappings(name: string, signal: AbortSignal): Promise<object | null> {
    const answer = await this.client.call({ method: 'GET', path: `/${name}/_mapping` }, signal);
    if (errorType(answer.json) === 'index_not_found_exception') return null;
    const body = this.jsonOf(answer);
    if (typeof body !== 'object' || body === null || Array.isArray(body) || Object.keys(body).length === 0) throw noEngine(this.name);
    return body;
  }

  /** The single index of ours behind an alias, called `shown` in errors; `null` if there is none. @throws Misconfigured for anything else */
  private async indexBehind(alias: string, shown: string, signal: AbortSignal): Promise<{ index: string; outdated: boolean } | null> {
    const found = await this.mappings(alias, signal);
    if (found === null) return null;
    const [index = '', ...others] = Object.keys(found);
    if (others.length > 0) throw new Misconfigured(['many_indices', shown, others.length + 1], ['fix_alias']);
    if (index === alias) throw new Misconfigured(['no_alias', shown], ['other_index_or_rename']);
    const ours = markOf(member(found, index));
    if (ours === null || (alias === this.nextAlias && indexNumber(this.alias, index) === null))
      throw new Misconfigured(['foreign_alias', shown], ['other_index_or_no_alias']);
    return { index, outdated: JSON.stringify(ours) !== JSON.stringify(newMark(this.analyzer)) };
  }

  private failure(item: Item): SinkError | null {
    if (item.status === 409 && errorType(item) === 'version_conflict_engine_exception') return null;
    const error = classifyClusterError(item.status, item, null, this.client.context.now());
    const answer = { body: JSON.stringify(member(item, 'error')) ?? '', contentType: 'application/json' };
    return error && withResponse(error, answer, this.client.context.clean);
  }

  /** Makes a call that must succeed. */
  private async ask(call: Call, signal: AbortSignal): Promise<unknown> {
    return this.jsonOf(await this.client.call(call, signal));
  }

  private jsonOf(answer: ApiAnswer): unknown {
    const error = classifyClusterError(answer.status, answer.json, answer.retryAfter, this.client.context.now());
    if (error) throw withResponse(error, answer, this.client.context.clean);
    return answer.json;
  }
}

/** From the answer to `GET /`; `null` if that is no known search engine. */
function productOf(body: unknown): { name: string; major: number } | null {
  if (member(body, 'status') === 'Meilisearch is running') return { name: 'Meilisearch', major: 0 };
  const version = member(body, 'version');
  const number = member(version, 'number');
  if (typeof number !== 'string') return null;
  const name = member(version, 'distribution') === 'opensearch' ? 'OpenSearch' : 'Elasticsearch';
  return { name, major: Number.parseInt(number, 10) };
}

function foundIn(hit: unknown): Found[] {
  const [version, document, sort] = [member(hit, '_version'), member(hit, '_source'), member(hit, 'sort')];
  const [sdkAppId, channelId]: unknown[] = Array.isArray(sort) ? sort : [];
  if (typeof sdkAppId !== 'string' || typeof channelId !== 'string' || typeof version !== 'number') return [];
  return [{ key: { sdkAppId, channelId }, document: Object(document) as Found['document'], version }];
}
