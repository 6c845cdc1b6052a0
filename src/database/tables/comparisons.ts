import type { Generated, GeneratedAlways } from 'kysely';

/** What a channel's row knows of the vendor's API. */
export interface ComparedChannel {
  /** As of when the vendor last told of it. */
  verified_at: number | null;
  /** When and why it is to be read from the vendor; `null` if it is not. How often in a row it was read in vain. */
  read_at: number | null;
  read_cause: string | null;
  read_tries: Generated<number>;
}

/** An app, as the vendor's REST API is read for it. Its row is locked before any channel's. */
export interface AppTable {
  sdk_app_id: string;
  /** The token of the process that reads for it, and until when that has it without renewing it (ms). */
  lease: string | null;
  leased_until: Generated<number>;
  /** Before this time no other process may call the API. */
  paced_until: Generated<number>;
  /** `ok`, `retrying` or `misconfigured`; since when, why, and what a person can do. */
  state: Generated<string>;
  state_since: number | null;
  reason: string | null;
  advice: string | null;
  /** Calls in a row that failed as a whole, and when the next may be made. */
  failures: Generated<number>;
  retry_at: Generated<number>;
  /** When a comparison of all channels last began, and when one was last done. */
  compared_at: number | null;
  compared_all_at: number | null;
  /** When one last began because of webhooks that were answered 400, 401 or 413. */
  refused_at: number | null;
  /** When a webhook of it was last kept, give or take two seconds. */
  webhook_at: number | null;
}

/** A comparison of channels of an app with the vendor. */
export interface ComparisonTable {
  /** A UUID of version 7: in the order of their asking. */
  id: string;
  sdk_app_id: string;
  cause: string;
  /** `waiting`, `running`, `done` or `failed`. */
  state: string;
  dry_run: number;
  /** 1: however many channels are gone, they are recorded as destroyed. */
  destroy: number;
  /** 1: of all channels of the app; 0: of those in `comparison_channel`. */
  whole: number;
  /** When it may begin. */
  due_at: number;
  started_at: number | null;
  finished_at: number | null;
  /** JSON of its Progress. */
  progress: string;
  reason: string | null;
  advice: string | null;
  /** 1: it failed for what is wrong with the app, and goes on once that is well; 2: likewise, but a later one of all channels does its work. */
  resumes: Generated<number>;
}

/** A channel that a comparison is yet to look at, or found to be gone. */
export interface ComparisonChannelTable {
  id: GeneratedAlways<number>;
  comparison: string;
  channel_id: string;
  gone: number;
}
