import { type Answer, type FakeServer, type ReceivedRequest, fakeServer } from './fake-server.ts';

type Document = Record<string, unknown>;

interface FakeIndex {
  filterable: string[];
  documents: Map<string, Document>;
}

interface Task {
  uid: number;
  indexUid: string | null;
  status: 'enqueued' | 'succeeded' | 'failed';
  type: string;
  details?: object;
  error: object | null;
  /** Throws an error of the API. */
  work: () => void;
}

/** What Meilisearch says when it does not do something. */
class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly type = 'invalid_request',
  ) {
    super(`a message that may quote the document: quoted-text`);
  }

  get body(): object {
    return { message: this.message, code: this.code, type: this.type, link: `https://docs.meilisearch.com/errors#${this.code}` };
  }
}

/**
 * The part of Meilisearch that a channel index needs, on loopback: what changes an index is a task, and tasks are worked off one after the other, in the order in which
 * they came. Written after its documentation; it was never compared with the real one. It can hold tasks back, and requests before they become tasks.
 */
export class FakeMeilisearch {
  readonly #indices = new Map<string, FakeIndex>();
  readonly #tasks: Task[] = [];
  #server: FakeServer | null = null;
  #paused = false;
  #held: (() => void)[] | null = null;
  #refuse: { when: (document: Document) => boolean; error: ApiError } | null = null;

  async open(): Promise<this> {
    this.#server = await fakeServer(request => this.#serve(request));
    return this;
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  get url(): string {
    return this.#server!.url;
  }

  get requests(): ReceivedRequest[] {
    return this.#server!.requests;
  }

  /** Takes tasks, but does none of them. */
  pauseTasks(): void {
    this.#paused = true;
  }

  resumeTasks(): void {
    this.#paused = false;
    this.#work();
  }

  /** From now on, writes are held before they become tasks, as by a network or a frozen process. */
  holdWrites(): void {
    this.#held = [];
  }

  /** From now on, writes get through; those held back do later. @returns what lets them through */
  letThrough(): () => void {
    const held = this.#held ?? [];
    this.#held = null;
    return () => {
      for (const go of held) go();
    };
  }

  get heldWrites(): number {
    return this.#held?.length ?? 0;
  }

  /** Fails each task that would write such a document. */
  refuse(when: (document: Document) => boolean, code = 'invalid_document_id', type = 'invalid_request'): void {
    this.#refuse = { when, error: new ApiError(400, code, type) };
  }

  /** Makes an index as somebody else would. */
  make(uid: string, documents: Document[] = [], filterable: string[] = []): void {
    this.#indices.set(uid, { filterable, documents: new Map(documents.map(one => [String(one['id']), one])) });
  }

  delete(uid: string): void {
    this.#indices.delete(uid);
  }

  get uids(): string[] {
    return [...this.#indices.keys()].sort();
  }

  documents(uid: string): Document[] {
    return [...(this.#indices.get(uid)?.documents.values() ?? [])];
  }

  /** Writes as a late request would: without a look. */
  overwrite(uid: string, document: Document): void {
    this.#enqueue('documentAdditionOrUpdate', uid, () => this.#add(uid, [document]));
  }

  async #serve(request: ReceivedRequest): Promise<Answer> {
    const url = new URL(request.path, 'http://fake');
    const parts = url.pathname.split('/').filter(Boolean).map(decodeURIComponent);
    const write = request.method === 'POST' && parts[0] === 'indexes' && parts[2] === 'documents' && parts.length === 3;
    if (write && this.#held) await new Promise<void>(resolve => this.#held?.push(resolve));
    try {
      return this.#answer(request, parts, url.searchParams);
    } catch (error) {
      if (error instanceof ApiError) return { status: error.status, body: error.body };
      throw error;
    }
  }

  #answer({ method, body }: ReceivedRequest, parts: string[], query: URLSearchParams): Answer {
    const [first, uid = '', third, fourth] = parts;
    const told = (): unknown => JSON.parse(body);
    if (first === undefined) return { body: { status: 'Meilisearch is running' } };
    if (first === 'version') return { body: { commitSha: 'unknown', commitDate: 'unknown', pkgVersion: '1.24.0' } };
    if (first === 'tasks') return { body: uid === '' ? this.#list(query) : this.#task(Number(uid)) };
    if (first === 'swap-indexes') return this.#swap(told() as { indexes: [string, string] }[]);
    if (first !== 'indexes' || uid === '') throw new ApiError(404, 'not_found');
    if (method === 'DELETE' && third === undefined) return this.#enqueue('indexDeletion', uid, () => this.#drop(uid));
    if (method === 'DELETE' && third === 'documents')
      return this.#enqueue('documentDeletion', uid, () => this.#index(uid).documents.clear());
    if (method === 'PATCH' && third === 'settings') return this.#settings(uid, told() as { filterableAttributes: string[] });
    if (method === 'POST' && third === 'documents' && fourth === undefined)
      return this.#enqueue('documentAdditionOrUpdate', uid, () => this.#add(uid, told() as Document[]));
    if (third === 'documents' && fourth === 'delete-batch') {
      const ids = told() as string[];
      return this.#enqueue('documentDeletion', uid, () => ids.forEach(id => this.#index(uid).documents.delete(id)));
    }
    const index = this.#index(uid);
    if (third === 'settings' && fourth === 'filterable-attributes') return { status: 200, body: index.filterable };
    if (third === 'documents' && fourth === 'fetch') return this.#fetch(index, told() as { filter: string; limit: number });
    if (third === 'documents') return this.#page(index, Number(query.get('offset')), Number(query.get('limit')));
    throw new ApiError(404, 'not_found');
  }

  #index(uid: string): FakeIndex {
    const index = this.#indices.get(uid);
    if (!index) throw new ApiError(404, 'index_not_found');
    return index;
  }

  #settings(uid: string, { filterableAttributes }: { filterableAttributes: string[] }): Answer {
    return this.#enqueue('settingsUpdate', uid, () => {
      const index = this.#indices.get(uid) ?? { filterable: [], documents: new Map<string, Document>() };
      this.#indices.set(uid, { ...index, filterable: filterableAttributes });
    });
  }

  /** Makes the index if there is none, as the real one does. */
  #add(uid: string, documents: Document[]): void {
    if (this.#refuse && documents.some(this.#refuse.when)) throw this.#refuse.error;
    if (documents.some(({ id }) => !/^[A-Za-z0-9_-]{1,511}$/.test(String(id)))) throw new ApiError(400, 'invalid_document_id');
    if (!this.#indices.has(uid)) this.make(uid);
    for (const document of documents) this.#index(uid).documents.set(String(document['id']), document);
  }

  #drop(uid: string): void {
    if (!this.#indices.delete(uid)) throw new ApiError(404, 'index_not_found');
  }

  #swap(swaps: { indexes: [string, string] }[]): Answer {
    const details = { swaps: swaps.map(swap => ({ ...swap, rename: false })) };
    return this.#enqueue(
      'indexSwap',
      null,
      () => {
        for (const { indexes } of swaps) {
          const [one, other] = indexes.map(uid => this.#index(uid)) as [FakeIndex, FakeIndex];
          this.#indices.set(indexes[0], other).set(indexes[1], one);
        }
      },
      details,
    );
  }

  #enqueue(type: string, indexUid: string | null, work: () => void, details?: object): Answer {
    const uid = this.#tasks.length;
    this.#tasks.push({ uid, indexUid, status: 'enqueued', type, error: null, work, ...(details && { details }) });
    if (!this.#paused) setImmediate(() => this.#work());
    return { status: 202, body: { taskUid: uid, indexUid, status: 'enqueued', type, enqueuedAt: '2026-01-01T00:00:00Z' } };
  }

  #work(): void {
    for (const task of this.#paused ? [] : this.#tasks.filter(({ status }) => status === 'enqueued')) {
      try {
        task.work();
        task.status = 'succeeded';
      } catch (error) {
        task.status = 'failed';
        task.error = (error as ApiError).body;
      }
    }
  }

  #task(uid: number): object {
    const task = this.#tasks[uid];
    if (!task) throw new ApiError(404, 'task_not_found');
    const { work: _, ...told } = task;
    return told;
  }

  #list(query: URLSearchParams): object {
    const among = (name: string, value: string | null): boolean =>
      query
        .get(name)
        ?.split(',')
        .includes(value ?? '') ?? true;
    const found = this.#tasks
      .filter(({ status, type, indexUid }) => among('statuses', status) && among('types', type) && among('indexUids', indexUid))
      .reverse();
    const results = found.slice(0, Number(query.get('limit') ?? 20)).map(({ uid }) => this.#task(uid));
    return { results, total: found.length, limit: 20, from: null, next: null };
  }

  #fetch(index: FakeIndex, { filter, limit }: { filter: string; limit: number }): Answer {
    if (!filter.startsWith('id IN [') || !index.filterable.includes('id')) throw new ApiError(400, 'invalid_document_filter');
    const ids = JSON.parse(filter.slice('id IN '.length)) as string[];
    const results = ids.flatMap(id => index.documents.get(id) ?? []).slice(0, limit);
    return { body: { results, offset: 0, limit, total: results.length } };
  }

  #page(index: FakeIndex, offset: number, limit: number): Answer {
    const sorted = [...index.documents.values()].sort((one, other) => (String(one['id']) < String(other['id']) ? -1 : 1));
    return { body: { results: sorted.slice(offset, offset + limit), offset, limit, total: sorted.length } };
  }
}
