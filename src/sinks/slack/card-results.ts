import type { SinkResult } from '../sink.js';
import { clean } from './card-text.js';

interface Style {
  bold?: boolean;
  italic?: boolean;
  strike?: boolean;
  code?: boolean;
}

/** What our rich text is made of: none of it can mention or link. */
export type RichElement = { type: 'text'; text: string; style?: Style } | { type: 'emoji'; name: string };

/** A block whose texts are data to Slack. */
export interface RichText {
  type: 'rich_text';
  elements: { type: 'rich_text_section'; elements: RichElement[] }[];
}

type State = SinkResult['state'];

/** An icon and a word for each state. Those that want a person come first: they are the last to be folded. */
const states: Record<State, { icon: string; said: string; count: string }> = {
  parked: { icon: 'x', said: 'parked', count: 'parked' },
  retrying: { icon: 'warning', said: 'failing, is tried again', count: 'failing' },
  discarded: { icon: 'wastebasket', said: 'discarded', count: 'discarded' },
  pending: { icon: 'hourglass_flowing_sand', said: 'waiting', count: 'waiting' },
  superseded: { icon: 'fast_forward', said: 'superseded by something newer', count: 'superseded' },
  delivered: { icon: 'white_check_mark', said: 'delivered', count: 'delivered' },
};
const order = Object.keys(states) as State[];

/** How much all lines together may take up: Slack refuses messages whose texts are too long in sum (from about 11,000 characters). */
const mostUnits = 2800;
const mostLines = 20;

/** Whether nothing more will become of a change at this sink unless a person replays it. */
export function isEnded({ state }: SinkResult): boolean {
  return state !== 'pending' && state !== 'retrying';
}

/** Our own words. */
export function words(text: string, style?: Style): RichElement[] {
  return [{ type: 'text', text, ...(style && { style }) }];
}

/** One line per sink and one for all of them. If there are too many, the most harmless ones become one line. */
export function results(all: readonly SinkResult[]): RichText {
  const kept = new Set<SinkResult>();
  let units = 0;
  for (const result of [...all].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state))) {
    units += line(result).reduce((sum, element) => sum + ('text' in element ? element.text.length : 0), 0);
    if (kept.size === mostLines || units > mostUnits) break;
    kept.add(result);
  }
  const folded = all.filter(result => !kept.has(result));
  const lines = all.filter(result => kept.has(result)).map(line);
  if (folded.length > 0) lines.push(words(`… and ${folded.length} more: ${counts(folded)}`));
  lines.push(words(summary(all), { bold: true }));
  return { type: 'rich_text', elements: lines.map(elements => ({ type: 'rich_text_section', elements })) };
}

/** All sinks in one phrase; once each has its result it says so. */
export function summary(all: readonly SinkResult[]): string {
  if (all.length === 0) return 'No other sink to tell';
  const open = all.filter(result => !isEnded(result)).length;
  if (open > 0) return `Waiting for ${open} of ${all.length} ${all.length === 1 ? 'sink' : 'sinks'}`;
  if (all.every(({ state }) => state === 'delivered')) return 'All sinks have it';
  if (all.every(({ state }) => state === 'delivered' || state === 'superseded')) return 'All sinks have it or something newer';
  return `Done: ${counts(all)}`;
}

function counts(all: readonly SinkResult[]): string {
  return order
    .map(state => ({ state, count: all.filter(result => result.state === state).length }))
    .filter(({ count }) => count > 0)
    .map(({ state, count }) => `${count} ${states[state].count}`)
    .join(', ');
}

function line({ sink, state, reason, durationMs }: SinkResult): RichElement[] {
  const { icon, said } = states[state];
  const took = state === 'delivered' && durationMs !== null ? ` in ${Math.round(durationMs)} ms` : '';
  const why = state !== 'delivered' && reason !== null ? clean(reason, 150) : '';
  return [
    { type: 'emoji', name: icon },
    ...words(` ${clean(sink, 60)}`, { bold: true }),
    ...words(` ${said}${took}${why === '' ? '' : `: ${why}`}`),
  ];
}
