import type { Database } from '../database/database.js';
import type { Trx } from '../database/tables.js';
import type { ReportSink } from '../sinks/report-sink.js';
import type { Mode } from '../sinks/sink.js';

/** The row of a registered sink. */
export interface RegisteredSink {
  id: number;
  name: string;
  type: string;
  mode: Mode;
  /** Of a report sink, how it shows changes; by default at once, and anew whenever something moves. */
  report?: Pick<ReportSink, 'holdMs' | 'edits'>;
}

/** A transaction of one sink's worker, and its time. */
export interface Session {
  database: Database;
  trx: Trx;
  sink: RegisteredSink;
  now: number;
}
