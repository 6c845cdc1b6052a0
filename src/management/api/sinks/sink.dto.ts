import type { Mode } from '../../../sinks/sink.js';
import { Flag, PageDto } from '../list.dto.js';

export const sinkStateNames = ['ok', 'retrying', 'misconfigured', 'down', 'paused', 'removed'] as const;
export type SinkState = (typeof sinkStateNames)[number];

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
  /** Since when it is in this state; a stop goes on if only its cause changes; null if it is ok */
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
  /** The HTTP status of a failure, if there was one; of a webhook sink also of a success */
  status!: number | null;
  durationMs!: number;
  /** Why it failed */
  reason!: string | null;
  advice!: string | null;
  response!: string | null;
}

/** Options of a comparison of an index. */
export class VerifyDto {
  /** Send missing and outdated documents again, and delete surplus ones */
  @Flag()
  repair?: boolean = false;
}

/** A verification or rebuild of an index. */
export class JobDto {
  /** idle: it was never started */
  state!: 'idle' | 'running' | 'done' | 'failed';
  startedAt!: Date | null;
  finishedAt!: Date | null;
  /** Why it failed or is held up */
  error!: string | null;
}

/** A document that differs from the store. */
class IndexExampleDto {
  sdkAppId!: string;
  channelId!: string;
  /** How it differs */
  kind!: 'missing' | 'older' | 'newer' | 'surplus';
}

/** The latest comparison of an index with the store. */
export class VerifyStateDto extends JobDto {
  /** Channels compared so far */
  compared!: number;
  /** Channels without a document in the index */
  missing!: number;
  /** Documents behind the store, or with other texts at the same revision */
  older!: number;
  /** Documents ahead of the store, such as after the database was restored from a backup */
  newer!: number;
  /** Documents of channels that are not in the store or excluded by the filters */
  surplus!: number;
  /** Documents sent again or deleted */
  repaired!: number;
  /** Some of the documents that differ */
  examples!: IndexExampleDto[];
}

/** The latest rebuild of an index. */
export class RebuildStateDto extends JobDto {
  /** Channels written to the new index so far */
  done!: number;
  /** Channels in total when it started */
  total!: number;
  /** The name of the new index, which is used once the rebuild is done @example "official-channels-2" */
  index!: string | null;
}
