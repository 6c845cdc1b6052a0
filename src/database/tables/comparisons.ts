import type { Generated, GeneratedAlways } from 'kysely';

/** Columns of `channel` about reading it from the vendor's API. */
export interface ComparedChannel {
  /** Time of the latest successful reading. */
  verified_at: number | null;
  /** When and why to read it from the vendor, `null` if not needed; and how many rereads inconclusive readings have caused in a row. */
  read_at: number | null;
  read_cause: string | null;
  read_tries: Generated<number>;
}

/** An app and the state of its REST API. Its row is always locked before rows of channels. */
export interface AppTable {
  sdk_app_id: string;
  /** Lease token of the process that calls the API for this app, and when the lease expires (ms). */
  lease: string | null;
  leased_until: Generated<number>;
  /** No other process may call the API before this time (rate limit). */
  paced_until: Generated<number>;
  /** `ok`, `retrying` or `misconfigured`; since when it is or is not `ok`, why, and how to fix it. */
  state: Generated<string>;
  state_since: number | null;
  reason: string | null;
  advice: string | null;
  /** Failed calls in a row, and when the next may be made. */
  failures: Generated<number>;
  retry_at: Generated<number>;
  /** When the latest comparison of all channels started, and when the latest successful one finished. */
  compared_at: number | null;
  compared_all_at: number | null;
  /** When a comparison was last started because webhooks were answered 400, 401 or 413. */
  refused_at: number | null;
  /** When a webhook was last stored, to within two seconds. */
  webhook_at: number | null;
}

export interface ComparisonTable {
  /** A version 7 UUID: sorts by creation. */
  id: string;
  sdk_app_id: string;
  cause: string;
  /** `waiting`, `running`, `done` or `failed`. */
  state: string;
  dry_run: number;
  /** 1: channels that are gone are recorded as destroyed, however many they are. */
  destroy: number;
  /** 1: all channels of the app; 0: those in `comparison_channel`. */
  whole: number;
  /** When it may start. */
  due_at: number;
  started_at: number | null;
  finished_at: number | null;
  /** JSON of its Progress. */
  progress: string;
  reason: string | null;
  advice: string | null;
  /** 1: it failed because of the app's state and resumes once that is fixed; 2: likewise, but a later full comparison replaces it. */
  resumes: Generated<number>;
}

/** A channel that a comparison has not read yet, or found to be gone. */
export interface ComparisonChannelTable {
  id: GeneratedAlways<number>;
  comparison: string;
  channel_id: string;
  gone: number;
}
