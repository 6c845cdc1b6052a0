import type { FieldChange, FieldName, Report } from '../sink.js';
import { clean, escape, publicImageUrl } from './card-text.js';
import { type RichElement, type RichText, results, summary, words } from './card-results.js';

interface PlainText {
  type: 'plain_text';
  text: string;
  emoji: false;
}

interface Section {
  type: 'section';
  text: PlainText;
  accessory?: { type: 'image'; image_url: string; alt_text: string };
}

interface Context {
  type: 'context';
  elements: (PlainText | { type: 'mrkdwn'; text: string })[];
}

/** One message: its blocks, and the text for notifications and screen readers. */
export interface Card {
  text: string;
  blocks: (Section | RichText | Context)[];
}

const typeWords = {
  'channel.created': 'Channel created',
  'channel.profile.updated': 'Profile changed',
  'channel.destroyed': 'Channel destroyed',
} as const;

const fieldWords: Record<FieldName, string> = {
  name: 'Name',
  avatarUrl: 'Avatar',
  introduction: 'Introduction',
  organization: 'Organization',
};

/**
 * The card of a change. What comes from webhooks only ever goes into plain_text and rich_text, where it cannot mention, link or format;
 * mrkdwn is for our own numbers. The kinds of blocks and their order depend on the change alone, not on its results, since Slack refuses
 * edits that change them.
 */
export function card(report: Report): Card {
  const { sdkAppId, channelId, revision, changes, operator, changeId } = report.event.data;
  const title = titleOf(report);
  const altered = revision !== null;
  const facts: Context = {
    type: 'context',
    elements: [
      plain(operator === null ? 'operator not told' : `by ${clean(operator) || '(blank)'}`),
      whenOf(report.event.timestamp),
      plain(`app ${clean(sdkAppId, 40)}${altered ? `, revision ${revision}` : ''}, change ${clean(changeId, 60)}`),
    ],
  };
  const id: RichElement = { type: 'text', text: clean(channelId) || '(blank)', style: { code: true } };
  const said = altered ? typeWords[report.event.type] : `Nothing changed: ${reasonOf(report)}`;
  const head = [...words(altered ? said : `${said}.`, { bold: altered }), ...words(' '), id];
  const what: RichText = {
    type: 'rich_text',
    elements: [head, ...(altered ? [...changes.map(changeLine), ...notesOf(report).map(note => words(note, { italic: true }))] : [])].map(
      elements => ({ type: 'rich_text_section', elements }),
    ),
  };
  const names = altered && changes.length > 0 ? ` (${fieldList(changes.map(({ field }) => field))})` : '';
  const end = altered ? `. ${summary(report.results)}.` : '.';
  return {
    text: escape(`${clean(title, 100)} (${clean(channelId, 100)}): ${said}${names}`) + end,
    blocks: [section(title, report), what, facts, ...(altered ? [results(report.results)] : [])],
  };
}

/** The same card without its image, for when Slack cannot fetch that; `null` if it has none. */
export function withoutImage({ text, blocks }: Card): Card | null {
  let found = false;
  const rest = blocks.map(block => {
    if (block.type !== 'section' || !block.accessory) return block;
    found = true;
    return { type: block.type, text: block.text };
  });
  return found ? { text, blocks: rest } : null;
}

function section(title: string, { event }: Report): Section {
  const image = publicImageUrl(event.data.profile.avatarUrl);
  return {
    type: 'section',
    text: plain(title),
    ...(image !== null && { accessory: { type: 'image', image_url: image, alt_text: 'Avatar' } }),
  };
}

function plain(text: string): PlainText {
  return { type: 'plain_text', text, emoji: false };
}

/** The channel's name; of a destroyed one the last that was known. */
function titleOf({ event }: Report): string {
  const name = event.data.profile.name ?? event.data.changes.find(({ field }) => field === 'name')?.from ?? null;
  if (name === null) return '(name unknown)';
  return clean(name) || '(no name)';
}

function whenOf(timestamp: string): Context['elements'][number] {
  const ms = Date.parse(timestamp);
  if (Number.isNaN(ms)) return plain('at a time unknown');
  return { type: 'mrkdwn', text: `<!date^${Math.floor(ms / 1000)}^{date_short_pretty} {time_secs}|${new Date(ms).toISOString()}>` };
}

function changeLine({ field, from, to }: FieldChange): RichElement[] {
  const [before, after] = [shown(from), shown(to)];
  return [
    ...words(`${fieldWords[field]}: `),
    { type: 'text', text: before.text, style: { strike: true, ...before.style } },
    ...words(' → '),
    { type: 'text', text: after.text, style: { bold: true, ...after.style } },
    ...(before.text === after.text ? words(' (they differ in what is not shown here)', { italic: true }) : []),
  ];
}

/** A value, or in italics the word for one that cannot be seen. */
function shown(value: string | null): { text: string; style?: { italic: true } } {
  if (value === null) return { text: 'unknown', style: { italic: true } };
  if (value === '') return { text: '(empty)', style: { italic: true } };
  const text = clean(value);
  return text === '' ? { text: '(blank)', style: { italic: true } } : { text };
}

function fieldList(fields: readonly FieldName[]): string {
  return fields.map(field => fieldWords[field].toLowerCase()).join(', ');
}

function reasonOf({ event, stale, tie }: Report): string {
  if (tie) return `another webhook of the same time counts (${fieldList(stale) || 'the values'})`;
  if (stale.length > 0) return `older than what we have (${fieldList(stale)})`;
  if (event.type === 'channel.destroyed' && event.data.exists) return 'older than what we have';
  return event.type === 'channel.destroyed' ? 'the channel was destroyed already' : 'equal to what we have';
}

function notesOf({ stale, tie, eventTimeEstimated }: Report): string[] {
  const notes = [];
  if (stale.length > 0) notes.push(`Not applied: ${fieldList(stale)}, because what we have is newer${tie ? ' or of the same time' : ''}.`);
  if (tie) notes.push('Another webhook of the same time says something else; of two such texts the greater one counts.');
  if (eventTimeEstimated) notes.push('The webhook carried no usable time: this is when it arrived.');
  return notes;
}
