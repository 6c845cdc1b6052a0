import type { Run } from './stage.ts';

/** Counts from 1, on both stores. */
const upTo = (count: number): string => `with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count})`;

/** An id like that of a change that arrived at this time; the number goes into its last 12 digits. */
function idAt(at: number, number: string): string {
  const hex = at.toString(16).padStart(12, '0');
  return `'${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-' || (100000000000 + ${number})`;
}

const told = 'type, operator, event_time, estimated, tie, received_at, exist, changes, profile, stale, body';

/** Makes the first channel's first change that of `channels` more, `each` times; all of them are owed to crm2 alone. */
export async function addPending(run: Run, channels: number, each: number): Promise<void> {
  const now = Date.now();
  const crowd = `crowd of ${now} `;
  const id = idAt(now, `n.i * ${channels} + channel.id`);
  await run(`insert into channel (sdk_app_id, channel_id, state, revision, position, version, updated_at)
    ${upTo(channels)} select sdk_app_id, '${crowd}' || i, state, ${each}, ${each}, version, updated_at from channel cross join n where id = 1`);
  await run(`insert into change (id, fingerprint, channel, position, revision, ${told})
    ${upTo(each)} select ${id}, ${id}, channel.id, n.i, n.i, ${told}
    from n cross join channel cross join change where channel.channel_id like '${crowd}%' and change.channel = 1 and change.position = 1`);
  await run(`insert into lane (sink, channel, due_at)
    select sink.id, channel.id, ${now} from sink cross join channel where sink.name = 'crm2' and channel_id like '${crowd}%'`);
  await run(`insert into delivery (change_id, sink, channel, position, enqueued_at, updated_at)
    select change.id, lane.sink, change.channel, change.position, ${now}, ${now}
    from change join lane on lane.channel = change.channel join channel on channel.id = change.channel where channel_id like '${crowd}%'`);
}

/** When what `addKept` adds arrived: a month ago. */
const keptSince = Date.now() - 30 * 86_400_000;

/** Puts `each` more changes before each channel's first one; every sink has them all. */
export async function addKept(run: Run, each: number): Promise<void> {
  const id = idAt(keptSince, 'n.i * 1000 + channel.id');
  await run(`insert into change (id, fingerprint, channel, position, revision, ${told})
    ${upTo(each)} select ${id}, ${id}, channel.id, n.i - ${each}, n.i - ${each}, ${told}
    from n cross join channel join change on change.channel = channel.id and change.position = 1`);
  await run(`insert into delivery (change_id, sink, channel, position, state, open, tries, enqueued_at, updated_at, duration_ms)
    select change.id, sink.id, channel, position, 'delivered', 0, 1, ${keptSince}, ${keptSince}, 3 from change cross join sink where position < 1`);
  await run(`insert into attempt (change_id, sink, at, duration_ms, outcome, status)
    select change_id, sink, ${keptSince}, 3, 'delivered', 200 from delivery where position < 1`);
}

/** How many of those are still there. */
export async function countKept(run: Run): Promise<number> {
  const [row] = await run('select count(*) as n from change where position < 1');
  return Number(row?.n);
}

/** Makes the first channel's first change that of `channels` more, owed to nobody. */
export async function addChannels(run: Run, channels: number): Promise<void> {
  const id = idAt(Date.now(), 'channel.id');
  await run(`insert into channel (sdk_app_id, channel_id, state, revision, position, version, updated_at)
    ${upTo(channels)} select sdk_app_id, 'stored ' || i, state, 1, 1, version, updated_at from channel cross join n where id = 1`);
  await run(`insert into change (id, fingerprint, channel, position, revision, ${told})
    select ${id}, ${id}, channel.id, 1, 1, ${told}
    from channel cross join change where channel.channel_id like 'stored %' and change.channel = 1 and change.position = 1`);
}

/** Gives crm2 so many lanes that are due, of channels of their own, with nothing pending. */
export async function addLanes(run: Run, count: number): Promise<void> {
  await run(`insert into lane (sink, channel, due_at)
    ${upTo(count)} select sink.id, 1000000 + i, ${Date.now()} from sink cross join n where sink.name = 'crm2'`);
}
