import { Flag } from '../list.dto.js';

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
