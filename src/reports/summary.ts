import { setImmediate as nextTurn } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Database } from '../database/database.js';
import { idFrom } from '../database/arrival-times.js';
import type { AlertOf } from '../sinks/alert.js';
import type { ReportSink } from '../sinks/report-sink.js';
import { countParked, countPending } from './counting.js';

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** A summary that is delayed for longer than this is skipped. */
const maxDelayMs = 120 * minuteMs;
const maxPageRows = 10_000;

/**
 * The local date whose summary is due now, from its time until two hours later; `null` if none is. If the time occurs twice because clocks
 * are put back, the first one counts; if it is skipped because they are put forward, the first minute after it does.
 */
export function summaryDue({ hour, minute, timeZone }: NonNullable<ReportSink['summary']>, now: number): string | null {
  const wall = wallClock(timeZone);
  // A summary that was due before midnight belongs to the previous day and may still be sent.
  for (const at of [now, now - maxDelayMs]) {
    const day = Math.floor(wall(at) / dayMs) * dayMs;
    const due = firstAt(wall, day + (hour * 60 + minute) * minuteMs);
    if (due <= now && now - due < maxDelayMs) return new Date(day).toISOString().slice(0, 10);
  }
  return null;
}

/** Converts a time to local wall-clock time, to the minute, represented as if it were UTC. */
function wallClock(timeZone: string): (ms: number) => number {
  const numeric = { year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' } as const;
  const format = new Intl.DateTimeFormat('en', { timeZone, hourCycle: 'h23', ...numeric });
  return ms => {
    const parts = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
    return Date.UTC(parts['year']!, parts['month']! - 1, parts['day'], parts['hour'], parts['minute']);
  };
}

/** The first minute at which local clocks show this time, or a later one if they skip it. */
function firstAt(wall: (ms: number) => number, shown: number): number {
  // By the UTC offsets before and after a clock change nearby; the right one may be later, but not earlier.
  let at = Math.min(...[shown - dayMs, shown + dayMs].map(near => shown - (wall(near) - near)));
  while (wall(at) < shown) at += minuteMs;
  return at;
}

/**
 * Sums up the time since the previous summary, at most two days; one day if there was none. Reads page by page to let webhooks through.
 * @param reportSink the sink that gets it: its own alerts are linked
 */
export async function summarize(
  database: Database,
  reportSink: number,
  lastUntil: number | null,
  now: number,
): Promise<AlertOf<'summary'>> {
  const { kysely } = database;
  const since = lastUntil === null ? now - dayMs : Math.max(lastUntil, now - 2 * dayMs);
  const configured = kysely.selectFrom('sink').select(['id', 'name']).where('removed_at', 'is', null);
  const sinks = await configured.where('mode', '<>', 'report').orderBy('name').execute();
  const delivered = new Map(sinks.map(({ id }) => [id, { delivered: 0, slowestMs: null as number | null }]));
  const channels = new Set<number>();
  let changes = 0;
  const pageSize = Math.ceil(maxPageRows / (sinks.length + 1));
  for (let after = idFrom(since), more = true; more; await nextTurn()) {
    const rest = kysely.selectFrom('change').select(['id', 'channel']).where('id', '>', after).where('id', '<', idFrom(now));
    const page = await rest.orderBy('id').limit(pageSize).execute();
    more = page.length === pageSize;
    if (page.length === 0) break;
    for (const { channel } of page) channels.add(channel);
    changes += page.length;
    const last = page.at(-1)!.id;
    const { rows } = await sql<{ sink: number; n: number; slowest: number }>`
        select sink, count(*) as n, max(updated_at - enqueued_at) as slowest from delivery
        where change_id > ${after} and change_id <= ${last} and state = 'delivered' group by sink`.execute(kysely);
    for (const { sink, n, slowest } of rows) {
      const totals = delivered.get(sink);
      if (totals) Object.assign(totals, { delivered: totals.delivered + n, slowestMs: Math.max(totals.slowestMs ?? 0, slowest) });
    }
    after = last;
  }
  const alerts = kysely.selectFrom('alert').select(['key', 'message_ref']).where('sink', '=', reportSink);
  const openAlerts = await alerts.where('resolved_at', 'is', null).execute();
  const messageRefs = new Map(openAlerts.map(({ key, message_ref }) => [key, message_ref]));
  const counted: AlertOf<'summary'>['sinks'] = [];
  for (const { id, name } of sinks) {
    const parked = [...(await countParked(database, id)).values()].reduce((sum, count) => sum + count, 0);
    const waiting = await countPending(database, id);
    const refs = { parked: messageRefs.get(`parked ${id}`) ?? null, waiting: messageRefs.get(`incident ${id}`) ?? null };
    counted.push({ sink: name, ...delivered.get(id)!, parked, waiting, messageRefs: refs });
  }
  return { kind: 'summary', since, until: now, changes, channels: channels.size, sinks: counted };
}
