import type { RawBuilder } from 'kysely';
import type { Database } from '../../database/database.js';
import type { Trx } from '../../database/tables.js';
import type { RegisteredSink } from '../../sinks/registry.js';
import type { Report } from '../../sinks/report-sink.js';
import type { Delivery } from '../../sinks/sink.js';
import type { DeliveryRow, LaneWork, Lease } from '../work.js';

/** A transaction of one sink's worker. */
export interface Session {
  database: Database;
  trx: Trx;
  sink: RegisteredSink;
  mode: ModeRules;
  now: number;
  claim: ClaimLimits;
}

/** What a turn may claim, and for how long. */
export interface ClaimLimits {
  attempts: number;
  batchSize: number;
  /** Maximum size of all texts together; a single delivery may exceed it. */
  bytes: number;
  leaseMs: number;
  /** Maximum duration of a probe. */
  probeMs: number;
  perSecond: number | null;
}

/** A delivery whose state changed, to be shown in reports. */
export interface Moved {
  changeId: string;
  channel: number;
}

/** The mode-specific part of a delivery. */
export type Shown = Pick<Delivery, 'event'> & Partial<Omit<Report, keyof Delivery>>;

/** The behaviour of a delivery mode: `log`, `state` or `report`. */
export interface ModeRules {
  /** A subquery, correlated to `lane`, for the id of the change that the lane attempts next. */
  next(session: Session): RawBuilder<string | null>;
  /** Loads additional data for these deliveries. @returns renders one of them; throws if its row is damaged */
  show(session: Session, rows: readonly DeliveryRow[]): Promise<(row: DeliveryRow) => Shown>;
  /** Picks the next change of an idle lane from those being recorded, in order; `null` if only a claim can determine it. */
  readonly firstOf: (<T>(changes: readonly T[]) => T) | null;
  /** Runs before each turn, in its own transactions. */
  prepare?(database: Database, sink: RegisteredSink, now: number): Promise<void>;
  /** Leases and loads several deliveries for a single attempt; empty if each needs its own. */
  claimTogether?(session: Session, lease: Lease): Promise<LaneWork[]>;
  /** When leased lanes that have no delivery to attempt now will have one, by channel. */
  nextDueIn?(session: Session, channels: readonly number[]): Promise<Map<number, number>>;
  /** Whether a finished delivery supersedes the older ones of its lane. */
  readonly supersedes: boolean;
  /** Whether a delivery may be attempted again after it was delivered. */
  readonly reopens: boolean;
}
