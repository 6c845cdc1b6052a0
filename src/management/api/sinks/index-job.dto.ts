import { Flag } from '../list.dto.js';

/** How an index is to be compared. */
export class VerifyDto {
  /** Send once more what differs, and take out what is surplus */
  @Flag()
  repair?: boolean = false;
}

/** Since when a job runs, and until when it ran. */
export class JobDto {
  /** idle: it was never asked for */
  state!: 'idle' | 'running' | 'done' | 'failed';
  startedAt!: Date | null;
  finishedAt!: Date | null;
  /** Why it failed, or what holds it up */
  error!: string | null;
}

/** One document that is not what the store says. */
class IndexExampleDto {
  sdkAppId!: string;
  channelId!: string;
  /** What is wrong with it */
  kind!: 'missing' | 'older' | 'newer' | 'surplus';
}

/** The newest comparison of an index with the store. */
export class VerifyStateDto extends JobDto {
  /** Channels that were looked at */
  compared!: number;
  /** Channels that the index does not have */
  missing!: number;
  /** Behind, or with other texts at the same revision */
  older!: number;
  /** Ahead of the store, as after a loss of the database */
  newer!: number;
  /** Of channels that the store does not know or the filters do not want */
  surplus!: number;
  /** Sent once more or taken out */
  repaired!: number;
  /** Some of them */
  examples!: IndexExampleDto[];
}

/** The newest building of an index beside the one that is used. */
export class RebuildStateDto extends JobDto {
  /** Channels that are in the next index */
  done!: number;
  /** Channels that there were when it began */
  total!: number;
  /** The name of the next index; it is used from the end on @example "official-channels-2" */
  index!: string | null;
}
