import type { Mode } from '../../../sinks/sink.js';
import type { SinkState } from '../../sink-states.js';
import { PageDto } from '../list.dto.js';

/** Counts of a sink's deliveries by state; `owed` is always the sum of the others. */
export class CountsDto {
  /** All deliveries to the sink that are still stored */
  owed!: number;
  /** Waiting to be sent */
  pending!: number;
  /** Accepted by the sink */
  delivered!: number;
  /** Not sent, because a newer state was sent instead */
  superseded!: number;
  /** Refused, or failed for too long; has to be replayed or discarded */
  parked!: number;
  /** Discarded by a person, or because the sink was removed */
  discarded!: number;
}

/** A sink and its state. */
export class SinkDto {
  /** Its name in the settings, lower case */
  name!: string;
  /** Its `SINK_<NAME>_TYPE` @example "webhook" */
  type!: string;
  /** log: every change in order; state: the latest state; report: each change with its results */
  mode!: Mode;
  /** Its state */
  state!: SinkState;
  /** Since when it is in this state; null if it is ok */
  since!: Date | null;
  /** Why it is not ok */
  reason!: string | null;
  advice!: string | null;
  /** Age of its oldest pending delivery, in seconds; 0 if there is none, null if the sink was removed */
  lagSeconds!: number | null;
  /** Its deliveries by state */
  counts!: CountsDto;
}

export class SinkPageDto extends PageDto {
  /** Latest first */
  items!: SinkDto[];
}

class ProblemFoundDto {
  /** The problem @example "connection refused" */
  problem!: string;
  advice!: string;
}

/** The result of a check. */
export class CheckDto {
  /** True if no problem was found; not everything can be checked without sending */
  ok!: boolean;
  /** Most severe first */
  problems!: ProblemFoundDto[];
  durationMs!: number;
}

/** The result of a test. */
export class TestDto {
  /** The result; cancelled: the service was stopping */
  outcome!: 'delivered' | 'retry' | 'refused' | 'misconfigured' | 'cancelled';
  status!: number | null;
  durationMs!: number;
  /** Why it failed */
  reason!: string | null;
  advice!: string | null;
  response!: string | null;
}
