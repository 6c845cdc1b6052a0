import type { Mode } from '../../../sinks/sink.js';
import type { SinkState } from '../../sink-states.js';
import { PageDto } from '../list.dto.js';

/** The accounts of a sink: owed is always the sum of the others. */
export class CountsDto {
  /** Every change that the sink was ever owed and that is still kept */
  owed!: number;
  /** Still to be sent */
  pending!: number;
  /** What the sink has */
  delivered!: number;
  /** Not sent, since a newer state made it superfluous */
  superseded!: number;
  /** Refused or given up; waits for a person */
  parked!: number;
  /** Dropped by a person or because the sink is gone */
  discarded!: number;
}

/** One sink and how it is. */
export class SinkDto {
  /** Its name in the settings, lower case */
  name!: string;
  /** Its `SINK_<NAME>_TYPE` @example "webhook" */
  type!: string;
  /** log: every change in order; state: the newest state; report: each change with its results */
  mode!: Mode;
  /** How it is */
  state!: SinkState;
  /** Since when it is in this state; null if it is ok */
  since!: Date | null;
  /** Why it is not ok, in plain words */
  reason!: string | null;
  advice!: string | null;
  /** Age of its oldest pending delivery, in seconds; 0 if there is none, null if the sink was removed */
  lagSeconds!: number | null;
  /** What it is owed, and what became of that */
  counts!: CountsDto;
}

export class SinkPageDto extends PageDto {
  /** The newest first */
  items!: SinkDto[];
}

class ProblemFoundDto {
  /** What is wrong, in plain words @example "connection refused" */
  problem!: string;
  advice!: string;
}

/** What a check found. */
export class CheckDto {
  /** Whether there is no problem; what cannot be asked without sending is none */
  ok!: boolean;
  /** The gravest first */
  problems!: ProblemFoundDto[];
  durationMs!: number;
}

/** What became of a sample change. */
export class TestDto {
  /** What the answer means; cancelled: the service stops */
  outcome!: 'delivered' | 'retry' | 'refused' | 'misconfigured' | 'cancelled';
  status!: number | null;
  durationMs!: number;
  /** Why it failed, in plain words */
  reason!: string | null;
  advice!: string | null;
  response!: string | null;
}
