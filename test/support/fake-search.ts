import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Answer, ReceivedRequest } from './fake-server.ts';

/** One stored document. */
export interface FakeDocument {
  version: number;
  source: Record<string, unknown>;
}

interface Mapping {
  dynamic?: string;
  properties?: Record<string, { type: string; analyzer?: string }>;
}

interface Analysis {
  analysis?: { analyzer: object };
}

interface FakeIndex {
  mappings: Mapping & Record<string, unknown>;
  aliases: Record<string, object>;
  documents: Map<string, FakeDocument & { seqNo: number }>;
  nextSeqNo: number;
}

type Request = Pick<ReceivedRequest, 'method' | 'path' | 'body'>;

interface ErrorBody {
  type: string;
  reason: string;
  [more: string]: unknown;
}

/** One line of a bulk body that says what to do with a document. */
interface Action {
  _index: string;
  _id: string;
  version?: number;
  version_type?: string;
  require_alias?: boolean;
  if_seq_no?: number;
}

/** How an engine introduces itself. */
const products = {
  opensearch: {
    version: { distribution: 'opensearch', number: '3.8.0' },
    tagline: 'The OpenSearch Project: https://opensearch.org/',
    header: { 'x-opensearch-version': 'OpenSearch/3.8.0 (opensearch)' },
  },
  elasticsearch: {
    version: { number: '9.1.0', build_flavor: 'default' },
    tagline: 'You Know, for Search',
    header: { 'x-elastic-product': 'Elasticsearch' },
  },
};

/**
 * The part of OpenSearch 3.8 that a channel index needs, on loopback: indices with strict mappings, aliases, bulk writes with external
 * versions, and searches for everything, by id, or in the order of fields. Its answers are written after those of the real engine. Documents are
 * seen at once. Elasticsearch says the same, under another name.
 */
export class FakeSearch {
  readonly #indices = new Map<string, FakeIndex>();
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch(() => response.destroy());
  });
  #port = 0;
  readonly #failures: Answer[] = [];
  #rejections = 0;
  readonly #product: (typeof products)[keyof typeof products];

  constructor(product: keyof typeof products = 'opensearch') {
    this.#product = products[product];
  }

  /** Opens on a free port; after a close, on the same one again, with what it had. */
  async open(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(this.#port, '127.0.0.1', () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  /** Goes away as a crashed server does: open connections are cut, new ones refused. */
  async close(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Answers the next requests with this status instead, as an overloaded or starting cluster does. */
  failNext(requests: number, status = 503): void {
    const type = status === 429 ? 'circuit_breaking_exception' : 'cluster_block_exception';
    const failure = {
      status,
      body: whole(status, { type, reason: 'blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];' }),
    };
    this.#failures.push(...Array.from({ length: requests }, () => failure));
  }

  /** Answers 429 for the next documents of bulks, as a cluster with a full write queue does. */
  rejectNext(documents: number): void {
    this.#rejections += documents;
  }

  /** What an index, or the one behind an alias, holds by id. */
  documents(name: string): Map<string, FakeDocument> {
    return this.#find(name)?.[1].documents ?? new Map<string, FakeDocument>();
  }

  /** What it says to a request; for servers that only sometimes are a search engine. */
  answer(request: Request): Answer {
    const failure = this.#failures.shift();
    if (failure) return failure;
    const url = new URL(request.path, 'http://fake');
    const [first = '', second = '', third = ''] = url.pathname.split('/').filter(Boolean).map(decodeURIComponent);
    const { method, body } = request;
    const { version, tagline } = this.#product;
    if (first === '') return { body: { name: 'fake', cluster_name: 'fake', version, tagline } };
    if (first === '_bulk') return this.#bulk(body, null, url.searchParams);
    if (second === '_bulk') return this.#bulk(body, first, url.searchParams);
    if (first === '_aliases' && method === 'POST') return this.#changeAliases(body);
    if (first === '_alias') return this.#alias(second);
    if (first === '_analyze') return analyze(body);
    if (first.startsWith('_')) return { status: 400, body: { error: `no handler found for uri [${request.path}] and method [${method}]` } };
    if (second === '' && method === 'PUT') return this.#create(first, body);
    if (second === '_mget') return this.#getMany(first, body, url.searchParams);
    const found = this.#find(first);
    if (!found) return notFound(first);
    const [name, index] = found;
    switch (second) {
      case '':
        if (method === 'DELETE') return this.#delete(first);
        return { body: { [name]: { aliases: index.aliases, mappings: index.mappings, settings: {} } } };
      case '_mapping':
        return { body: Object.fromEntries(this.#all(first).map(([each, { mappings }]) => [each, { mappings }])) };
      case '_alias':
        return { body: { [name]: { aliases: index.aliases } } };
      case '_refresh':
        return { body: { _shards: { total: 2, successful: 1, failed: 0 } } };
      case '_count':
        return { body: { count: index.documents.size, _shards: shards } };
      case '_doc':
        return this.#get(name, index, third);
      case '_search':
        return this.#search(name, index, body, url.searchParams);
      default:
        return { status: 400, body: { error: `no handler found for uri [${request.path}] and method [${method}]` } };
    }
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '' } = message;
    const { status = 200, body } = this.answer({ method, path, body: await text(message) });
    response.writeHead(status, {
      'content-type': 'application/json; charset=UTF-8',
      ...this.#product.header,
    });
    response.end(method === 'HEAD' ? undefined : JSON.stringify(body));
  }

  /** The indices of a name: itself, or those behind the alias. */
  #all(name: string): [string, FakeIndex][] {
    const index = this.#indices.get(name);
    return index ? [[name, index]] : [...this.#indices].filter(([, { aliases }]) => Object.hasOwn(aliases, name));
  }

  #find(name: string): [string, FakeIndex] | undefined {
    return this.#all(name)[0];
  }

  #create(name: string, body: string): Answer {
    if (name !== name.toLowerCase()) {
      return failed(400, {
        type: 'invalid_index_name_exception',
        reason: `Invalid index name [${name}], must be lowercase`,
        index: name,
        index_uuid: '_na_',
      });
    }
    if (this.#find(name)) {
      return failed(400, {
        type: 'resource_already_exists_exception',
        reason: `index [${name}/${uuid}] already exists`,
        index: name,
        index_uuid: uuid,
      });
    }
    const told = (body === '' ? {} : JSON.parse(body)) as Partial<Pick<FakeIndex, 'aliases' | 'mappings'> & { settings: Analysis }>;
    const { aliases = {}, mappings = {}, settings } = told;
    const analyzers = [...builtIn, ...Object.keys(settings?.analysis?.analyzer ?? {})];
    const wanted = Object.values(mappings.properties ?? {}).flatMap(({ analyzer }) => analyzer ?? []);
    const unknown = wanted.find(analyzer => !analyzers.includes(analyzer));
    if (unknown !== undefined) {
      const reason = `Failed to parse mapping [_doc]: analyzer [${unknown}] has not been configured in mappings`;
      return failed(400, { type: 'mapper_parsing_exception', reason });
    }
    const taken = Object.keys(aliases).find(alias => this.#indices.has(alias));
    if (taken !== undefined) {
      const reason = `Invalid alias name [${taken}], an index exists with the same name as the alias`;
      return failed(400, { type: 'invalid_alias_name_exception', reason, index: taken, index_uuid: uuid });
    }
    this.#indices.set(name, { aliases, mappings, documents: new Map(), nextSeqNo: 0 });
    return { body: { acknowledged: true, shards_acknowledged: true, index: name } };
  }

  #delete(name: string): Answer {
    if (!this.#indices.delete(name)) {
      const reason = `The provided expression [${name}] matches an alias, specify the corresponding concrete indices instead.`;
      return failed(400, { type: 'illegal_argument_exception', reason });
    }
    return { body: { acknowledged: true } };
  }

  #alias(alias: string): Answer {
    const found = this.#all(alias).filter(([name]) => name !== alias);
    if (found.length === 0) return { status: 404, body: { error: `alias [${alias}] missing`, status: 404 } };
    return { body: Object.fromEntries(found.map(([name, { aliases }]) => [name, { aliases: { [alias]: aliases[alias] } }])) };
  }

  /** All of it or nothing; indices go first. */
  #changeAliases(body: string): Answer {
    const told = JSON.parse(body) as { actions: Record<string, { index: string; alias: string }>[] };
    const actions = told.actions.flatMap(action => Object.entries(action));
    const removed = actions.filter(([verb]) => verb === 'remove_index').map(([, { index }]) => index);
    const missing = actions.find(([, { index }]) => !this.#indices.has(index));
    if (missing) return notFound(missing[1].index);
    // Aliases that are missing are told only if there is nothing else to do.
    const removals = actions.filter(([verb]) => verb === 'remove').map(([, action]) => action);
    const lacking = removals.find(({ index, alias }) => !Object.hasOwn(this.#indices.get(index)!.aliases, alias));
    if (lacking && removals.length === actions.length) {
      const resource = { 'resource.id': lacking.alias, 'resource.type': 'aliases' };
      return failed(404, { type: 'aliases_not_found_exception', reason: `aliases [${lacking.alias}] missing`, ...resource });
    }
    const gone = actions.find(([verb, { index }]) => verb !== 'remove_index' && removed.includes(index));
    if (gone) {
      const [, { index }] = gone;
      return failed(404, { type: 'index_not_found_exception', reason: `no such index [${index}]`, index, index_uuid: '_na_' });
    }
    for (const index of removed) this.#indices.delete(index);
    for (const [verb, { index, alias }] of actions) {
      if (verb === 'add') this.#indices.get(index)!.aliases[alias] = {};
      if (verb === 'remove') delete this.#indices.get(index)!.aliases[alias];
    }
    return { body: { acknowledged: true } };
  }

  #bulk(body: string, defaultIndex: string | null, query: URLSearchParams): Answer {
    if (body === '') return failed(400, { type: 'parse_exception', reason: 'request body is required' });
    if (!body.endsWith('\n')) {
      return failed(400, { type: 'illegal_argument_exception', reason: 'The bulk request must be terminated by a newline [\\n]' });
    }
    const lines = body.split('\n').slice(0, -1);
    const items: Record<string, object>[] = [];
    for (let at = 0; at < lines.length; at += 1) {
      const [verb, told] = Object.entries(JSON.parse(lines[at] ?? '') as Record<string, Action>)[0] ?? ['', undefined];
      const action = { _index: defaultIndex ?? '', require_alias: query.get('require_alias') === 'true', ...told } as Action;
      const source = verb === 'delete' ? null : (lines[(at += 1)] ?? '');
      items.push({ [verb]: this.#write(action, source) });
    }
    return { body: { took: 1, errors: items.some(item => Object.values(item).some(one => 'error' in one)), items } };
  }

  #write(action: Action, line: string | null): object {
    const { _index, _id } = action;
    const refused = (status: number, error: ErrorBody, index = _index) => ({ _index: index, _id, status, error });
    const found = this.#all(_index);
    // A delete makes an index only if it carries a version from outside.
    if (line === null && found.length === 0 && action.version === undefined) return refused(404, notThere(_index).root_cause[0]!);
    if (action.require_alias && (found.length === 0 || this.#indices.has(_index))) {
      const reason = `no such index [${_index}] and [require_alias] request flag is [true] and [${_index}] is not an alias`;
      return refused(404, { type: 'index_not_found_exception', reason, index: _index, index_uuid: '_na_' });
    }
    if (found.length > 1) {
      const why =
        'The write index may be explicitly disabled using is_write_index=false or the alias points to multiple indices without one being designated as a write index';
      return refused(400, { type: 'illegal_argument_exception', reason: `no write index is defined for alias [${_index}]. ${why}` });
    }
    if (found.length === 0) this.#create(_index, '');
    const [name, index] = this.#find(_index) as [string, FakeIndex];
    if (this.#rejections > 0) {
      this.#rejections -= 1;
      return refused(429, { type: 'rejected_execution_exception', reason: 'rejected execution of coordinating operation' }, name);
    }
    const source = line === null ? null : parsed(line);
    const error = source === undefined ? notJson : source && mappingError(source, _id, index.mappings);
    if (error) return refused(400, error, name);
    return this.#put(action, source ?? null, name, index, refused);
  }

  #put(
    { _id, version, version_type = 'internal', if_seq_no }: Action,
    source: Record<string, unknown> | null,
    name: string,
    index: FakeIndex,
    refused: (status: number, error: ErrorBody, index?: string) => object,
  ): object {
    const known = index.documents.get(_id);
    const external = version_type !== 'internal' && version !== undefined;
    if (if_seq_no !== undefined && known?.seqNo !== if_seq_no) {
      const current = known ? `current document has seqNo [${known.seqNo}] and primary term [1]` : 'but no document was found';
      const reason = `[${_id}]: version conflict, required seqNo [${if_seq_no}], primary term [1]. ${current}`;
      return refused(409, { type: 'version_conflict_engine_exception', reason, index: name, shard: '0', index_uuid: uuid }, name);
    }
    if (known && external && (version_type === 'external_gte' ? version < known.version : version <= known.version)) {
      const than = version_type === 'external_gte' ? 'higher than' : 'higher or equal to';
      const reason = `[${_id}]: version conflict, current version [${known.version}] is ${than} the one provided [${version}]`;
      return refused(409, { type: 'version_conflict_engine_exception', reason, index: name, shard: '0', index_uuid: uuid }, name);
    }
    const stored = external ? version : (known?.version ?? 0) + 1;
    const seqNo = index.nextSeqNo++;
    if (source === null) index.documents.delete(_id);
    else index.documents.set(_id, { version: stored, source, seqNo });
    const gone = known ? 'deleted' : 'not_found';
    const result = source === null ? gone : known ? 'updated' : 'created';
    const status = { created: 201, updated: 200, deleted: 200, not_found: 404 }[result];
    return {
      _index: name,
      _id,
      _version: stored,
      result,
      _shards: { total: 2, successful: 1, failed: 0 },
      _seq_no: seqNo,
      _primary_term: 1,
      status,
    };
  }

  #get(_index: string, index: FakeIndex, _id: string): Answer {
    const found = index.documents.get(_id);
    if (!found) return { status: 404, body: { _index, _id, found: false } };
    return { body: { _index, _id, _version: found.version, _seq_no: found.seqNo, _primary_term: 1, found: true, _source: found.source } };
  }

  #getMany(name: string, body: string, params: URLSearchParams): Answer {
    const { ids } = JSON.parse(body) as { ids: string[] };
    const found = this.#find(name);
    const docs = ids.map(_id => {
      if (!found) return { _index: name, _id, error: notThere(name) };
      const { _source, ...rest } = this.#get(found[0], found[1], _id).body as { _source?: object };
      return params.get('_source') === 'false' || !_source ? rest : { ...rest, _source };
    });
    return { body: { docs } };
  }

  #search(_index: string, { documents }: FakeIndex, body: string, params: URLSearchParams): Answer {
    interface Search {
      query?: { match_all?: object; ids?: { values: string[] } };
      size?: number;
      from?: number;
      version?: boolean;
      sort?: Record<string, 'asc'>[];
      search_after?: string[];
      track_total_hits?: boolean;
    }
    const told = (parsed(body) ?? {}) as Search;
    const { query = { match_all: {} }, from = 0, version = params.get('version') === 'true', sort, search_after: after } = told;
    if (!query.match_all && !query.ids) {
      const [kind = ''] = Object.keys(query);
      return failed(400, { type: 'parsing_exception', reason: `unknown query [${kind}]`, line: 1, col: 1 });
    }
    const fields = sort?.flatMap(one => Object.keys(one)) ?? [];
    const matching = [...documents]
      .filter(([id]) => query.ids?.values.includes(id) ?? true)
      .map(([_id, document]) => ({ _id, document, keys: fields.map(field => document.source[field] as string) }))
      .filter(({ keys }) => !after || compareAll(keys, after) > 0)
      .sort((one, other) => compareAll(one.keys, other.keys));
    const hits = matching.slice(from, from + Number(params.get('size') ?? told.size ?? 10)).map(({ _id, document, keys }) => {
      const scored = { _index, _id, ...(version && { _version: document.version }), _score: sort ? null : 1, _source: document.source };
      return { ...scored, ...(sort && { sort: keys }) };
    });
    const total = told.track_total_hits === false ? {} : { total: { value: matching.length, relation: 'eq' } };
    const max_score = hits.length > 0 && !sort ? 1 : null;
    return { body: { took: 1, timed_out: false, _shards: shards, hits: { ...total, max_score, hits } } };
  }
}

/** The order of keywords: that of their bytes. */
function compareAll(one: readonly string[], other: readonly string[]): number {
  return one.map((key, at) => Buffer.compare(Buffer.from(key), Buffer.from(other[at]!))).find(order => order !== 0) ?? 0;
}

/** Analyzers that every cluster has; as many of them as are needed here. */
const builtIn = ['standard', 'cjk'];

function analyze(body: string): Answer {
  const { analyzer } = JSON.parse(body) as { analyzer: string };
  if (builtIn.includes(analyzer)) return { body: { tokens: [] } };
  return failed(400, { type: 'illegal_argument_exception', reason: `failed to find global analyzer [${analyzer}]` });
}

const uuid = 'DuOYaJ7YQsq0x3aO5UTkPg';
const shards = { total: 1, successful: 1, skipped: 0, failed: 0 };
const notJson = {
  type: 'mapper_parsing_exception',
  reason: 'failed to parse',
  caused_by: { type: 'json_parse_exception', reason: 'Unexpected character' },
};

function whole(status: number, error: ErrorBody): object {
  return { error: { root_cause: [error], ...error }, status };
}

function failed(status: number, error: ErrorBody): Answer {
  return { status, body: whole(status, error) };
}

function notFound(index: string): Answer {
  const resource = { index, 'resource.id': index, 'resource.type': 'index_or_alias', index_uuid: '_na_' };
  return failed(404, { type: 'index_not_found_exception', reason: `no such index [${index}]`, ...resource });
}

function notThere(index: string): ErrorBody & { root_cause: ErrorBody[] } {
  const resource = { index, 'resource.id': index, 'resource.type': 'index_expression', index_uuid: '_na_' };
  const error = { type: 'index_not_found_exception', reason: `no such index [${index}]`, ...resource };
  return { root_cause: [error], ...error };
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

const takes: Record<string, (value: unknown) => boolean> = {
  keyword: value => typeof value !== 'object',
  text: value => typeof value !== 'object',
  long: value => typeof value === 'number' || (typeof value === 'string' && /^-?\d+$/.test(value)),
  date: value => typeof value === 'number' || (typeof value === 'string' && !Number.isNaN(Date.parse(value))),
  boolean: value => typeof value === 'boolean' || value === 'true' || value === 'false' || value === '',
};

function mappingError(source: Record<string, unknown>, id: string, { dynamic, properties = {} }: Mapping): ErrorBody | null {
  for (const [field, value] of Object.entries(source)) {
    const type = properties[field]?.type;
    if (type === undefined) {
      if (dynamic !== 'strict') continue;
      return {
        type: 'strict_dynamic_mapping_exception',
        reason: `mapping set to strict, dynamic introduction of [${field}] within [_doc] is not allowed`,
      };
    }
    if (value === null || (takes[type]?.(value) ?? true)) continue;
    const preview = typeof value === 'object' ? '{…}' : JSON.stringify(value).replaceAll('"', '');
    const reason = `failed to parse field [${field}] of type [${type}] in document with id '${id}'. Preview of field's value: '${preview}'`;
    return {
      type: 'mapper_parsing_exception',
      reason,
      caused_by: { type: 'illegal_argument_exception', reason: 'it is not of that type' },
    };
  }
  return null;
}
