import { asSinkError } from '../delivery/attempts.js';
import { bounded } from '../outgoing/within.js';
import type { CheckResult, Checkable } from '../sinks/sink.js';

export const checkTimeoutMs = 8000;

/** Checks a sink, independently of the engine. @returns its problems, most severe first @throws the reason of `stop` if aborted */
export async function checkSink(sink: Checkable, stop: AbortSignal): Promise<CheckResult> {
  try {
    const { problems, summary } = await bounded(signal => sink.check(signal), checkTimeoutMs, stop);
    const transient = problems.filter(({ outcome }) => outcome === 'retry');
    return { problems: [...problems.filter(problem => !transient.includes(problem)), ...transient], summary };
  } catch (error) {
    stop.throwIfAborted();
    const problem = asSinkError(error);
    return { problems: [problem], summary: problem.message };
  }
}
