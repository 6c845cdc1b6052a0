import { recordAction } from '../database/audit.js';
import type { Database } from '../database/database.js';
import type { ChannelKey, Difference } from '../sinks/sink.js';

export type JobKind = 'verify' | 'rebuild';

export interface VerifyProgress extends Record<Difference['kind'] | 'compared' | 'repaired', number> {
  repair: boolean;
  after: ChannelKey | null;
  examples: Omit<Difference, 'version'>[];
}

export interface RebuildProgress {
  index: string | null;
  after: ChannelKey | null;
  filled: boolean;
  done: number;
  total: number;
}

export interface Job<P> {
  state: 'running' | 'done' | 'failed';
  startedAt: number;
  finishedAt: number | null;
  error: string | null;
  progress: P;
}

/** Starts a job unless one of its kind is running, and returns whether it did. A repair replaces a running comparison without repair. */
export async function beginJob(
  database: Database,
  sink: number,
  kind: JobKind,
  repair: boolean,
  { at: now, actor }: { at: number; actor: string | null },
): Promise<boolean> {
  const progress: VerifyProgress | RebuildProgress =
    kind === 'verify'
      ? { repair, after: null, compared: 0, missing: 0, older: 0, newer: 0, surplus: 0, repaired: 0, examples: [] }
      : { index: null, after: null, filled: false, done: 0, total: 0 };
  return database.kysely.transaction().execute(async trx => {
    const before = repair ? await findJob<VerifyProgress>({ kysely: trx }, sink, 'verify') : null;
    const givesWay = before?.state === 'running' && !before.progress.repair;
    const inserted = await database.insert<'index_job', { sink: number }>(
      trx,
      'index_job',
      [{ sink, kind, state: 'running', started_at: now, progress: JSON.stringify(progress), due_at: now }],
      `on conflict (sink, kind) do update set state = excluded.state, started_at = excluded.started_at, finished_at = null, progress = excluded.progress,
         error = null, failing_since = null, due_at = excluded.due_at, lease = null ${givesWay ? '' : "where index_job.state <> 'running'"} returning sink`,
    );
    const isStarted = (await inserted()).length > 0;
    if (isStarted && actor !== null) {
      const { name } = await trx.selectFrom('sink').select('name').where('id', '=', sink).executeTakeFirstOrThrow();
      await recordAction(trx, { at: now, actor }, kind, { sink: name, ...(kind === 'verify' && { repair }) });
    }
    return isStarted;
  });
}

export async function findJob<P>({ kysely }: Pick<Database, 'kysely'>, sink: number, kind: JobKind): Promise<Job<P> | null> {
  const row = await kysely.selectFrom('index_job').selectAll().where('sink', '=', sink).where('kind', '=', kind).executeTakeFirst();
  if (!row) return null;
  const { state, started_at: startedAt, finished_at: finishedAt, error } = row;
  return { state: state as Job<P>['state'], startedAt, finishedAt, error, progress: JSON.parse(row.progress) as P };
}
