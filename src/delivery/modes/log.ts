import { sql } from 'kysely';
import { storedEvent } from '../work.js';
import type { ModeRules } from './mode.js';

/** Sends every change of a channel, in revision order. */
export const log: ModeRules = {
  next: () =>
    sql`select d.change_id from delivery d where d.sink = lane.sink and d.channel = lane.channel and d.open = 1 order by d.position limit 1`,
  show: async () => row => ({ event: storedEvent(row) }),
  firstOf: changes => changes[0]!,
  supersedes: false,
  reopens: false,
};
