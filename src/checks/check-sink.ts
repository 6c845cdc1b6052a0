import { asSinkError } from '../delivery/attempts.js';
import { bounded } from '../outgoing/within.js';
import type { CheckResult, Checkable } from '../sinks/sink.js';

/** The longest that a check may take, in milliseconds. */
export const checkMs = 8000;

/** Checks a sink; needs nothing of the engine. @returns its problems, the gravest first @throws the reason of `stop` once that is aborted */
export async function checkSink(sink: Checkable, stop: AbortSignal): Promise<CheckResult> {
  try {
    const { problems, summary } = await bounded(signal => sink.check(signal), checkMs, stop);
    const [passing = [], lasting = []] = [true, false].map(is => problems.filter(({ outcome }) => (outcome === 'retry') === is));
    return { problems: [...lasting, ...passing], summary };
  } catch (error) {
    stop.throwIfAborted();
    const problem = asSinkError(error);
    return { problems: [problem], summary: problem.message };
  }
}
