import { setImmediate as nextTurn } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Database } from '../../database/database.js';
import { idFrom } from '../../database/retention.js';
import type { Notice, ReportSink } from '../../sinks/sink.js';

type Summary = Extract<Notice, { kind: 'summary' }>;

/** Who starts later than this after the time of the summary leaves it to the next day. */
const latestMinutes = 120;
const dayMs = 86_400_000;
const pageSize = 5000;

/** The date of the summary that is due at this time, as it is called in the zone of the sink; `null` if none is. */
export function summaryDue({ hour, minute, timeZone }: NonNullable<ReportSink['summary']>, now: number): string | null {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  });
  const parts = Object.fromEntries(format.formatToParts(now).map(({ type, value }) => [type, value]));
  const late = Number(parts['hour']) * 60 + Number(parts['minute']) - (hour * 60 + minute);
  return late >= 0 && late < latestMinutes ? `${parts['year']}-${parts['month']}-${parts['day']}` : null;
}

/**
 * What happened since the summary before, or in a day if there was none. Reads page by page, so that webhooks go between.
 * @param reportSink for which it is: it links to its own notices
 */
export async function summarize({ kysely }: Database, reportSink: number, lastUntil: number | null, now: number): Promise<Summary> {
  const since = lastUntil === null ? now - dayMs : Math.max(lastUntil, now - 2 * dayMs);
  const sinks = await kysely
    .selectFrom('sink')
    .select(['id', 'name'])
    .where('removed_at', 'is', null)
    .where('mode', '<>', 'report')
    .orderBy('name')
    .execute();
  const delivered = new Map(sinks.map(({ id }) => [id, { delivered: 0, slowestMs: null as number | null }]));
  const channels = new Set<number>();
  let changes = 0;
  for (let after = idFrom(since), more = true; more; await nextTurn()) {
    const page = await kysely
      .selectFrom('change')
      .select(['id', 'channel'])
      .where('id', '>', after)
      .where('id', '<', idFrom(now))
      .orderBy('id')
      .limit(pageSize)
      .execute();
    more = page.length === pageSize;
    if (page.length === 0) break;
    for (const { channel } of page) channels.add(channel);
    changes += page.length;
    const last = page.at(-1)!.id;
    const { rows } = await sql<{ sink: number; n: number; slowest: number }>`
        select sink, count(*) as n, max(updated_at - owed_at) as slowest from delivery
        where change_id > ${after} and change_id <= ${last} and state = 'delivered' group by sink`.execute(kysely);
    for (const { sink, n, slowest } of rows) {
      const one = delivered.get(sink);
      if (one) Object.assign(one, { delivered: one.delivered + n, slowestMs: Math.max(one.slowestMs ?? 0, slowest) });
    }
    after = last;
  }
  const { rows: owed } = await sql<{ sink: number; state: string; n: number }>`
      select sink, state, count(*) as n from delivery where state = 'pending' group by sink, state
      union all select sink, state, count(*) as n from delivery where state = 'parked' group by sink, state`.execute(kysely);
  const count = (sink: number, state: string): number => owed.find(row => row.sink === sink && row.state === state)?.n ?? 0;
  const receipts = await receiptsOf(kysely, reportSink);
  return {
    kind: 'summary',
    since,
    until: now,
    changes,
    channels: channels.size,
    sinks: sinks.map(({ id, name }) => ({
      sink: name,
      ...delivered.get(id)!,
      parked: count(id, 'parked'),
      waiting: count(id, 'pending'),
      receipts: { parked: receipts.get(`parked ${id}`) ?? null, waiting: receipts.get(`incident ${id}`) ?? null },
    })),
  };
}

/** Of the notices of a report sink that are not over, by what they are about. */
async function receiptsOf(kysely: Database['kysely'], reportSink: number): Promise<Map<string, string | null>> {
  const rows = await kysely
    .selectFrom('notice')
    .select(['key', 'receipt'])
    .where('sink', '=', reportSink)
    .where('over_at', 'is', null)
    .execute();
  return new Map(rows.map(({ key, receipt }) => [key, receipt]));
}
