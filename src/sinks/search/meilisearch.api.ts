import { setTimeout as sleep } from 'node:timers/promises';
import { withResponse } from '../../outgoing/send.js';
import { classifyStatus } from '../../outgoing/http.js';
import { Misconfigured, Refused, type SinkError, TryAgain } from '../errors.js';
import { isObject, member } from './document.js';
import { type ErrorMeaning, Gone, rethrowAsSetup, unknownAnswer, withCode } from './engine.js';
import type { Call, RestClient } from './rest-client.js';

/** An asynchronous change of an index. */
interface Task {
  uid: number;
  status: string;
  details?: unknown;
  error?: unknown;
}

const taskPollIntervalMs = 50;

/** Meilisearch's REST API, including its asynchronous tasks. */
export class MeilisearchApi {
  constructor(private readonly client: RestClient) {}

  /** Makes a call that writes no document. */
  ask(call: Call, signal: AbortSignal): Promise<unknown> {
    return this.call(call, signal).catch(rethrowAsSetup);
  }

  async list<T extends object>(call: Call, signal: AbortSignal): Promise<T[]> {
    const results = member(await this.ask(call, signal), 'results');
    if (!Array.isArray(results) || !results.every(isObject)) throw unknownAnswer('Meilisearch');
    return results as T[];
  }

  /** Requests a change and waits for its task to succeed. */
  async runTask(call: Call, signal: AbortSignal): Promise<void> {
    const uid = member(await this.call(call, signal), 'taskUid');
    if (typeof uid !== 'number') throw unknownAnswer('Meilisearch');
    await this.waitForSuccess(uid, signal);
  }

  pendingTasks(query: Record<string, string>, signal: AbortSignal): Promise<Task[]> {
    return this.list<Task>({ method: 'GET', path: '/tasks', query: { ...query, statuses: 'enqueued,processing' } }, signal);
  }

  async waitForEnd(uid: number, signal: AbortSignal): Promise<Task> {
    for (;;) {
      const task = (await this.ask({ method: 'GET', path: `/tasks/${uid}` }, signal)) as Task | undefined;
      if (typeof task?.status !== 'string') throw unknownAnswer('Meilisearch');
      if (task.status !== 'enqueued' && task.status !== 'processing') return task;
      await sleep(taskPollIntervalMs);
    }
  }

  async waitForSuccess(uid: number, signal: AbortSignal): Promise<void> {
    const { status, error } = await this.waitForEnd(uid, signal);
    if (status === 'succeeded') return;
    const type = member(error, 'type');
    const meaning =
      type === 'invalid_request'
        ? new Refused(['task_failed'], ['see_tasks_of_document'])
        : type === 'auth'
          ? new Misconfigured(['task_failed'], ['meilisearch_key'])
          : new TryAgain(['task_failed'], ['see_tasks']);
    const answer = { body: JSON.stringify(error) ?? '', contentType: 'application/json' };
    throw withResponse(classifyMeilisearchError(error, meaning), answer, this.client.context.clean);
  }

  close(): void {
    this.client.close();
  }

  private async call(call: Call, signal: AbortSignal): Promise<unknown> {
    const answer = await this.client.call(call, signal);
    const error = classifyStatus(answer.status, answer.retryAfter, this.client.context.now());
    if (error === null) return answer.json;
    if (typeof member(member(answer.json, 'error'), 'type') === 'string')
      throw new Misconfigured(['wrong_engine', 'OpenSearch or Elasticsearch', 'Meilisearch'], ['set_engine']);
    throw withResponse(classifyMeilisearchError(answer.json, error), answer, this.client.context.clean);
  }
}

/** Meilisearch error codes whose status and type are not specific enough. */
const meanings: Record<string, ErrorMeaning> = {
  index_not_found: [Gone, ['rebuild_then']],
  invalid_api_key: [Misconfigured, ['meilisearch_key']],
  missing_authorization_header: [Misconfigured, ['meilisearch_key']],
  no_space_left_on_device: [TryAgain, ['meilisearch_disk']],
  database_size_limit_reached: [TryAgain, ['meilisearch_disk']],
  too_many_open_files: [TryAgain, ['meilisearch_files']],
};

/** Refines an error by Meilisearch's error code. The message is never used, since it may quote the document. */
export function classifyMeilisearchError(answer: unknown, error: SinkError): SinkError {
  const [code, type] = [member(answer, 'code'), member(answer, 'type')];
  if (typeof code !== 'string' || !/^[a-z_]{1,100}$/.test(code)) return error;
  if (Object.hasOwn(meanings, code)) return withCode(error, code, meanings[code]);
  if (type === 'system') return withCode(error, code, [TryAgain, ['check_disk']]);
  return withCode(error, code, error instanceof Refused ? [Refused, ['see_tasks_of_document']] : undefined);
}
