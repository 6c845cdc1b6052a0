import { sinkStateNames } from '../../sink-states.js';
import { answer, bool, integer, many, number, one, oneOf, orNull, pageOf, text, time } from '../answer.js';

/** The accounts of a sink: owed is always the sum of the others. */
export class CountsDto extends answer({
  owed: integer('Every change that the sink was ever owed and that is still kept'),
  pending: integer('Still to be sent'),
  delivered: integer(),
  superseded: integer('Not sent, since a newer state made it superfluous'),
  parked: integer('Refused or given up; waits for a person'),
  discarded: integer('Dropped by a person or because the sink is gone'),
}) {}

/** One sink and how it is. */
export class SinkDto extends answer({
  name: text(undefined, 'crm'),
  type: text(undefined, 'webhook'),
  mode: oneOf(['log', 'state', 'report'], 'log: every change in order; state: the newest state; report: each change with its results'),
  state: oneOf(sinkStateNames),
  since: orNull(time('Since when it is in this state; null if it is ok')),
  reason: orNull(text('Why it is not ok, in plain words')),
  advice: orNull(text('What a person can do about it')),
  lagSeconds: orNull(number('Age of its oldest pending delivery, in seconds; 0 if there is none, null if the sink was removed')),
  counts: one(CountsDto),
}) {}

export class SinkPageDto extends pageOf(SinkDto, 'The newest first') {}

class ProblemFoundDto extends answer({ problem: text('What is wrong, in plain words'), advice: text('What a person can do about it') }) {}

/** What a check found. */
export class CheckDto extends answer({
  ok: bool('Whether there is no problem; what cannot be asked without sending is none'),
  problems: many(ProblemFoundDto, 'The gravest first'),
  durationMs: integer(),
}) {}

/** What became of a sample change. */
export class TestDto extends answer({
  outcome: oneOf(['delivered', 'retry', 'refused', 'misconfigured', 'cancelled'], 'What the answer means; cancelled: the service stops'),
  status: orNull(integer('The HTTP status of a failure, if there was one')),
  durationMs: integer(),
  reason: orNull(text('Why it failed, in plain words')),
  advice: orNull(text('What a person can do about it')),
  response: orNull(text('What the target answered to it, without secrets, 500 characters at most')),
}) {}
