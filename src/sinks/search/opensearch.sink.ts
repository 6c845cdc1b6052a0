import { classifyNetworkError, classifyStatus } from '../http.js';
import { type BulkSink, type Delivery, Misconfigured, Refused, SinkError, type SinkContext, TryAgain, defineSink } from '../sink.js';
import { type BulkEntry, bulkEntry, bulkResults, errorType, split } from './document.js';
import { firstIndex, foreignIndex, newIndex } from './mapping.js';
import { type Cluster, type ClusterAnswer, type ClusterCall, openSearchCluster } from './opensearch.client.js';
import { OpenSearchSettings, accessOf } from './opensearch.settings.js';

type Results = (SinkError | null)[];

/** A call within the time of one attempt; what fails below HTTP is thrown as a `SinkError`. */
type Call = (call: ClusterCall) => Promise<ClusterAnswer>;

/** What stands before a cluster often takes no more than 10 MB, and smaller bulks are no slower. */
const maxBulkBytes = 5_000_000;

class OpenSearchSink implements BulkSink {
  readonly batchSize = 500;
  /** Whether the alias leads to an index of ours: looked at once, and again when an answer makes us doubt it. */
  private index: 'unknown' | 'ensured' | 'doubted' = 'unknown';

  constructor(
    private readonly cluster: Cluster,
    private readonly alias: string,
    private readonly timeoutMs: number,
    private readonly context: SinkContext,
  ) {}

  async deliverMany(deliveries: readonly Delivery[], signal: AbortSignal): Promise<Results> {
    const call = this.calls(signal);
    await this.ensureIndex(call);
    const results: Results = [];
    let failure: SinkError | null = null;
    const entries = deliveries.map(delivery => bulkEntry(delivery, this.alias));
    for (const bulk of split(entries, maxBulkBytes)) {
      const answers: Results = failure === null ? await this.send(bulk, call).catch(spread(bulk)) : bulk.map(() => failure);
      results.push(...answers);
      // What stops a bulk as a whole would stop the next one, too; only a refusal is about its documents.
      const [first] = answers;
      if (first && !(first instanceof Refused) && answers.every(answer => answer === first)) failure = first;
    }
    return this.lookAgain(results, call);
  }

  close(): Promise<void> {
    this.cluster.close();
    return Promise.resolve();
  }

  private calls(signal: AbortSignal): Call {
    signal.throwIfAborted();
    const timeout = AbortSignal.timeout(this.timeoutMs);
    const either = AbortSignal.any([signal, timeout]);
    return async call => {
      try {
        return await this.cluster.request(call, either);
      } catch (error) {
        signal.throwIfAborted();
        if (timeout.aborted || (error instanceof Error && error.name === 'TimeoutError')) {
          throw new TryAgain('timed out', 'Check how busy the cluster is, or raise TIMEOUT_MS; it is tried again by itself.');
        }
        throw classifyNetworkError(error);
      }
    };
  }

  private async send(bulk: readonly BulkEntry[], call: Call): Promise<Results> {
    const lines = bulk.map(entry => entry.lines).join('');
    const answer = await call({ method: 'POST', path: '/_bulk', query: { require_alias: 'true' }, lines });
    const now = this.context.now();
    const error = classifyStatus(answer.status, answer.retryAfter, now);
    if (error instanceof Refused) {
      if (bulk.length === 1) return [error];
      // Too large for what stands before the cluster, or one document that it does not like: no reason to give up the others.
      const half = Math.ceil(bulk.length / 2);
      return [...(await this.send(bulk.slice(0, half), call)), ...(await this.send(bulk.slice(half), call))];
    }
    if (error) throw error;
    const deliveries = bulk.map(entry => entry.delivery);
    const results = bulkResults(answer.body, deliveries, now);
    if (results) return results;
    throw new TryAgain('the answer is not one of OpenSearch', 'Check what the URL of this sink leads to, if it lasts.', answer.status);
  }

  /** Before documents are given up: perhaps somebody put a foreign index behind the alias, and they are fine. */
  private async lookAgain(results: Results, call: Call): Promise<Results> {
    const doubted = results.some(result => result !== null && (!(result instanceof TryAgain) || result.status === 404));
    if (doubted) this.index = 'doubted';
    if (!results.some(result => result instanceof Refused)) return results;
    try {
      await this.ensureIndex(call);
      return results;
    } catch (error) {
      if (!(error instanceof SinkError)) throw error;
      return results.map(result => (result instanceof Refused ? error : result));
    }
  }

  private async ensureIndex(call: Call): Promise<void> {
    if (this.index === 'ensured') return;
    let mappings = await this.mappings(call);
    if (mappings === null) {
      await this.createIndex(call);
      mappings = await this.mappings(call);
    }
    if (mappings === null) {
      const message = `the index ${firstIndex(this.alias)} exists, but the alias ${this.alias} does not lead to it`;
      throw new Misconfigured(message, 'Give that index the alias again, or delete it.');
    }
    const foreign = foreignIndex(this.alias, mappings);
    if (foreign) throw foreign;
    this.index = 'ensured';
  }

  /** The mappings behind the alias, by index; `null` if there is nothing of this name. */
  private async mappings(call: Call): Promise<unknown> {
    const answer = await call({ method: 'GET', path: `/${this.alias}/_mapping` });
    if (answer.status === 404 && errorType(answer.body) === 'index_not_found_exception') return null;
    this.throwUnlessDone(answer);
    return answer.body ?? {};
  }

  private async createIndex(call: Call): Promise<void> {
    const name = firstIndex(this.alias);
    const answer = await call({ method: 'PUT', path: `/${name}`, json: newIndex(this.alias) });
    // Another replica was faster.
    if (errorType(answer.body) === 'resource_already_exists_exception') return;
    this.throwUnlessDone(answer);
    if (this.index === 'doubted')
      this.context.warn(`sink ${this.context.name}: the index was gone; ${name} is made anew and empty: rebuild it`);
  }

  /** A refusal here is about the set-up: no delivery may be parked for it. */
  private throwUnlessDone({ status, retryAfter, body }: ClusterAnswer): void {
    const error = classifyStatus(status, retryAfter, this.context.now());
    if (!(error instanceof Refused)) {
      if (error) throw error;
      return;
    }
    throw new Misconfigured(
      errorType(body) ?? error.message,
      'The index cannot be looked up or made: see the log of the cluster for why.',
      status,
    );
  }
}

/** What a whole bulk ended in is the end of each of its documents. */
function spread(bulk: readonly BulkEntry[]): (error: unknown) => Results {
  return error => {
    if (!(error instanceof SinkError)) throw error;
    return bulk.map(() => error);
  };
}

export const opensearch = defineSink({
  type: 'opensearch',
  summary: 'One document per channel in an OpenSearch index, in its newest state.',
  settings: OpenSearchSettings,
  mode: () => 'state',
  async open(settings, context) {
    const access = { ...accessOf(settings), ca: settings.CA, timeoutMs: settings.TIMEOUT_MS };
    return new OpenSearchSink(await openSearchCluster(access), settings.INDEX, settings.TIMEOUT_MS, context);
  },
});
