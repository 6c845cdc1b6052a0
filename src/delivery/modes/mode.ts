import type { RawBuilder } from 'kysely';
import type { Database } from '../../database/database.js';
import type { Trx } from '../../database/tables.js';
import type { RegisteredSink } from '../../sinks/registry.js';
import type { Report } from '../../sinks/report-sink.js';
import type { Delivery } from '../../sinks/sink.js';
import type { DeliveryRow, LaneWork, Lease } from '../work.js';

/** A transaction of one sink's worker, its time, and what the worker would take. */
export interface Session {
  database: Database;
  trx: Trx;
  sink: RegisteredSink;
  mode: ModeRules;
  now: number;
  claim: Claim;
}

/** What a worker would take: so many attempts of so many deliveries each. */
export interface Claim {
  attempts: number;
  batchSize: number;
  /** Of all texts together; a single delivery may have more. */
  bytes: number;
  leaseMs: number;
  /** How long a probe may take at most. */
  probeMs: number;
  perSecond: number | null;
}

/** A delivery whose state moved, for reports to tell. */
export interface Moved {
  changeId: string;
  channel: number;
}

/** What a sink is shown of a delivery, beside what is the same in every mode. */
export type Shown = Pick<Delivery, 'event'> & Partial<Omit<Report, keyof Delivery>>;

/** What differs between the modes: which delivery of a lane is next, how it looks, and what happens before and after it. */
export interface ModeRules {
  /** The change that a lane attempts next: a query beside a row of `lane`. */
  next(session: Session): RawBuilder<string | null>;
  /** Reads what else these deliveries show. @returns makes what is shown of one; throws if its row is damaged */
  show(session: Session, rows: readonly DeliveryRow[]): Promise<(row: DeliveryRow) => Shown>;
  /** Which change is next in a lane that had nothing to do, of those that are recorded together in their order; `null` if only a claim can tell. */
  readonly firstOf: (<T>(changes: readonly T[]) => T) | null;
  /** What is done before each turn, in transactions of its own. */
  prepare?(database: Database, sink: RegisteredSink, now: number): Promise<void>;
  /** Leases and loads what one attempt takes together; empty if each goes by itself. */
  together?(session: Session, lease: Lease): Promise<LaneWork[]>;
  /** When leased lanes without a next delivery have one, by channel. */
  laterIn?(session: Session, channels: readonly number[]): Promise<Map<number, number>>;
  /** Whether what ended makes older deliveries of its lane superfluous. */
  readonly supersedes: boolean;
  /** Whether a delivery may be attempted again after it was delivered. */
  readonly reopens: boolean;
}
