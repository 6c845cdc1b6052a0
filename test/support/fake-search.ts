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
  properties?: Record<string, { type: string }>;
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
}

/**
 * The part of OpenSearch 3.8 that a channel index needs, on loopback: indices with strict mappings, aliases, bulk writes with external
 * versions, and searches for everything or by id. Its answers are written after those of the real engine. Documents are seen at once.
 */
export class FakeSearch {
  readonly #indices = new Map<string, FakeIndex>();
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch(() => response.destroy());
  });
  #port = 0;
  readonly #failures: Answer[] = [];
  #rejections = 0;

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
    if (first === '') return { body: { name: 'fake', version: { distribution: 'opensearch', number: '3.8.0' }, tagline: 'a fake' } };
    if (first === '_bulk') return this.#bulk(body, null, url.searchParams);
    if (second === '_bulk') return this.#bulk(body, first, url.searchParams);
    if (first === '_aliases' && method === 'POST') return this.#changeAliases(body);
    if (first === '_alias') return this.#alias(second);
    if (first.startsWith('_')) return { status: 400, body: { error: `no handler found for uri [${request.path}] and method [${method}]` } };
    if (second === '' && method === 'PUT') return this.#create(first, body);
    const found = this.#find(first);
    if (!found) return notFound(first);
    const [name, index] = found;
    switch (second) {
      case '':
        if (method === 'DELETE') return this.#delete(first);
        return { body: { [name]: { aliases: index.aliases, mappings: index.mappings, settings: { index: { provided_name: name } } } } };
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
      'x-opensearch-version': 'OpenSearch/3.8.0 (opensearch)',
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
    const { aliases = {}, mappings = {} } = (body === '' ? {} : JSON.parse(body)) as Partial<Pick<FakeIndex, 'aliases' | 'mappings'>>;
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

  #changeAliases(body: string): Answer {
    const { actions } = JSON.parse(body) as { actions: Record<string, { index: string; alias: string }>[] };
    for (const [verb = '', { index, alias }] of actions.flatMap(action => Object.entries(action))) {
      const found = this.#indices.get(index);
      if (!found) return notFound(index);
      if (verb === 'add') found.aliases[alias] = {};
      else if (verb === 'remove_index') this.#indices.delete(index);
      else if (!Object.hasOwn(found.aliases, alias)) {
        const resource = { 'resource.id': alias, 'resource.type': 'aliases' };
        return failed(404, { type: 'aliases_not_found_exception', reason: `aliases [${alias}] missing`, ...resource });
      } else delete found.aliases[alias];
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
    { _id, version, version_type = 'internal' }: Action,
    source: Record<string, unknown> | null,
    name: string,
    index: FakeIndex,
    refused: (status: number, error: ErrorBody, index?: string) => object,
  ): object {
    const known = index.documents.get(_id);
    const external = version_type !== 'internal' && version !== undefined;
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

  #search(_index: string, { documents }: FakeIndex, body: string, params: URLSearchParams): Answer {
    interface Search {
      query?: { match_all?: object; ids?: { values: string[] } };
      size?: number;
      from?: number;
      version?: boolean;
    }
    const { query = { match_all: {} }, size = 10, from = 0, version = params.get('version') === 'true' } = (parsed(body) ?? {}) as Search;
    if (!query.match_all && !query.ids) {
      const [kind = ''] = Object.keys(query);
      return failed(400, { type: 'parsing_exception', reason: `unknown query [${kind}]`, line: 1, col: 1 });
    }
    const matching = [...documents].filter(([id]) => query.ids?.values.includes(id) ?? true);
    const hits = matching.slice(from, from + Number(params.get('size') ?? size)).map(([_id, document]) => {
      return { _index, _id, ...(version && { _version: document.version }), _score: 1, _source: document.source };
    });
    const total = { value: matching.length, relation: 'eq' };
    return { body: { took: 1, timed_out: false, _shards: shards, hits: { total, max_score: hits.length > 0 ? 1 : null, hits } } };
  }
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
