import { setTimeout as sleep } from 'node:timers/promises';
import { responseOf } from '../../outgoing/response.js';
import { classifyStatus } from '../../outgoing/http.js';
import { Misconfigured, Refused, type SinkError, TryAgain } from '../errors.js';
import { member } from './document.js';
import { type ErrorMeaning, Gone, setUpRefused, unknownAnswer, wrongEngine } from './engine.js';
import type { Call, RestClient } from './rest-client.js';

/** A change of an index: Meilisearch only queues it, and does it later. */
interface Task {
  uid: number;
  status: string;
  details?: { swaps?: { indexes: string[] }[] };
  error?: unknown;
}

const lookAtTaskEveryMs = 50;

/** Meilisearch's REST API, with its tasks. */
export class MeilisearchApi {
  constructor(
    private readonly client: RestClient,
    private readonly now: () => number,
  ) {}

  /** A call that writes no document: if it is refused, the set-up is wrong. */
  async ask(call: Call, signal: AbortSignal): Promise<unknown> {
    try {
      return await this.call(call, signal);
    } catch (error) {
      throw error instanceof Refused ? setUpRefused(error) : error;
    }
  }

  /** The results of an answer. */
  async list<T>(call: Call, signal: AbortSignal): Promise<T[]> {
    const results = member(await this.ask(call, signal), 'results');
    if (!Array.isArray(results)) throw unknownAnswer('Meilisearch');
    return results as T[];
  }

  /** Asks for a change, and waits until its task is done. */
  async change(call: Call, signal: AbortSignal): Promise<void> {
    const uid = member(await this.call(call, signal), 'taskUid');
    if (typeof uid !== 'number') throw unknownAnswer('Meilisearch');
    await this.done(uid, signal);
  }

  /** Tasks that have not ended. */
  waiting(query: Record<string, string>, signal: AbortSignal): Promise<Task[]> {
    return this.list<Task>({ method: 'GET', path: '/tasks', query: { ...query, statuses: 'enqueued,processing' } }, signal);
  }

  /** Waits for the end of a task, however long: the signal ends it. */
  async end(uid: number, signal: AbortSignal): Promise<Task> {
    for (;;) {
      const task = (await this.ask({ method: 'GET', path: `/tasks/${uid}` }, signal)) as Task | undefined;
      if (typeof task?.status !== 'string') throw unknownAnswer('Meilisearch');
      if (task.status !== 'enqueued' && task.status !== 'processing') return task;
      await sleep(lookAtTaskEveryMs);
    }
  }

  /** Waits for the end of a task. Throws what it ended in, unless that is success. */
  async done(uid: number, signal: AbortSignal): Promise<void> {
    const { status, error } = await this.end(uid, signal);
    if (status === 'succeeded') return;
    const type = member(error, 'type');
    const meaning =
      type === 'invalid_request'
        ? new Refused(['task_failed'], ['see_tasks_of_document'])
        : type === 'auth'
          ? new Misconfigured(['task_failed'], ['meilisearch_key'])
          : new TryAgain(['task_failed'], ['see_tasks']);
    const response = responseOf(JSON.stringify(error) ?? '', 'application/json', this.client.clean);
    throw Object.assign(classifyMeilisearchError(error, meaning), { response });
  }

  close(): void {
    this.client.close();
  }

  private async call(call: Call, signal: AbortSignal): Promise<unknown> {
    const { status, retryAfter, body, response } = await this.client.call(call, signal);
    const error = classifyStatus(status, retryAfter, this.now());
    if (error === null) return body;
    if (typeof member(member(body, 'error'), 'type') === 'string') throw wrongEngine('OpenSearch or Elasticsearch', 'Meilisearch');
    throw Object.assign(classifyMeilisearchError(body, error), { response });
  }
}

/** Errors of Meilisearch whose status and type say too little, by code. */
const meanings: Record<string, ErrorMeaning> = {
  index_not_found: [Gone, ['rebuild_then']],
  invalid_api_key: [Misconfigured, ['meilisearch_key']],
  missing_authorization_header: [Misconfigured, ['meilisearch_key']],
  no_space_left_on_device: [TryAgain, ['meilisearch_disk']],
  database_size_limit_reached: [TryAgain, ['meilisearch_disk']],
  too_many_open_files: [TryAgain, ['meilisearch_files']],
};

/**
 * What an error means by Meilisearch's own code; its message is never repeated, since it may quote the document.
 * @param answer of a call, or the error of a task
 * @param error what it means without its code
 */
export function classifyMeilisearchError(answer: unknown, error: SinkError): SinkError {
  const [code, type] = [member(answer, 'code'), member(answer, 'type')];
  if (typeof code !== 'string' || !/^[a-z_]{1,100}$/.test(code)) return error;
  const { advice, status } = error;
  const reason = ['as_said', code] as const;
  if (Object.hasOwn(meanings, code)) return new meanings[code]![0](reason, meanings[code]![1], status);
  if (type === 'system') return new TryAgain(reason, ['check_disk'], status);
  if (error instanceof TryAgain) return new TryAgain(reason, advice, status, error.retryAfterMs);
  if (error instanceof Misconfigured) return new Misconfigured(reason, advice, status);
  return new Refused(reason, ['see_tasks_of_document'], status);
}
