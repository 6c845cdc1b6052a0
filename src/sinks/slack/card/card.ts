import type { ChangeType, FieldChange } from '../../sink.js';
import type { Report } from '../../report-sink.js';
import {
  type RenderContext,
  type Message,
  type RichElement,
  type RichText,
  button,
  dateMarkup,
  mostInAll,
  plain,
  richText,
  words,
} from './blocks.js';
import { results, summary } from './card-results.js';
import { clean, cleanLines, escape, isLong, publicImageUrl } from './card-text.js';
import { buttonValue } from '../clicks/clicks.js';
import type { Words } from '../words/en.js';

/**
 * The card of a change. What comes from webhooks only ever goes into plain_text and rich_text, where it cannot mention, link or format;
 * mrkdwn is for our own numbers. The kinds of blocks and their order depend on the change alone, not on its results, since Slack refuses
 * edits that change them; only the buttons at the end come and go.
 */
export function card(report: Report, context: RenderContext, now: number): Message {
  const { changeId, channelId, revision } = report.event.data;
  const messages = context.words;
  const altered = revision !== null;
  const said = saidOf(report, messages);
  const name = nameOf(report, messages);
  const head = [...words(said, { bold: altered }), ...words(' '), idOf(channelId, messages)];
  const parked = report.results.some(({ state }) => state === 'parked');
  const buttons = (['retry', 'discard'] as const).map(action => button(action, buttonValue(context.sink, changeId), messages));
  return {
    text: escape(
      messages.card.notification(
        clean(name, 100),
        clean(channelId, 100),
        altered && report.event.type === 'channel.profile.updated'
          ? messages.card.updatedFields(report.event.data.changes.map(({ field }) => field))
          : said,
        altered ? summary(report.results, messages) : '',
      ),
    ),
    blocks: [
      { type: 'section', text: plain(name), ...accessoryOf(report, messages) },
      richText([head, ...(altered ? [...changeLines(report, context), ...notesOf(report, messages)] : [])]),
      factsOf(report, context),
      ...(altered ? [results(report, context, now)] : []),
      ...(parked && context.buttons ? [{ type: 'actions' as const, elements: buttons }] : []),
    ],
  };
}

/** The texts that the card had to cut, for its thread; `null` if there are none. */
export function fullTexts({ event }: Report, { words: messages }: RenderContext): Message | null {
  const all = event.data.changes.flatMap(({ field, from, to }) => [
    { label: messages.card.before(messages.card.field[field]), text: from ?? '' },
    { label: messages.card.now(messages.card.field[field]), text: to ?? '' },
  ]);
  const long = all.filter(({ text }) => isLong(text));
  if (event.data.revision === null || long.length === 0) return null;
  const units = Math.floor(mostInAll / long.length) - 100;
  const elements = long.flatMap(({ label, text }): RichText['elements'] => {
    const shown = cleanLines(text, units);
    const rest = shown === cleanLines(text, text.length + 1) ? [] : words(`\n${messages.card.cut}`, { italic: true });
    return [
      { type: 'rich_text_section', elements: words(label, { bold: true }) },
      { type: 'rich_text_quote', elements: [...words(shown), ...rest] },
    ];
  });
  return { text: messages.card.inFull, blocks: [{ type: 'rich_text', elements }] };
}

/** What a change did, in a few words. */
export function saidOf({ event, stale, tie }: Report, { card: texts }: Words): string {
  const { exists, revision } = event.data;
  if (revision === null) {
    if (tie) return texts.nothing(stale.length > 0 ? texts.tieFields(stale) : texts.tie);
    if (stale.length > 0) return texts.nothing(texts.olderFields(stale));
    if (event.type === 'channel.destroyed') return texts.nothing(exists ? texts.older : texts.destroyedAlready);
    return texts.nothing(texts.equal);
  }
  if (event.type === 'channel.profile.updated') return texts.updated;
  if (event.type === 'channel.destroyed') return texts.destroyed;
  // A channel's first revision cannot come after it was destroyed.
  return revision === 1 ? texts.created : texts.reCreated;
}

/** The channel's name; of a destroyed one the last that was known. */
export function nameOf({ event }: Report, { card: texts }: Words): string {
  const name = event.data.profile.name ?? event.data.changes.find(({ field }) => field === 'name')?.from ?? null;
  if (name === null) return texts.nameUnknown;
  return clean(name) || texts.noName;
}

/** A channel's id, as data. */
export function idOf(channelId: string, { card: texts }: Words, graphemes?: number): RichElement {
  return { type: 'text', text: clean(channelId, graphemes) || texts.blank, style: { code: true } };
}

/** One field: what it was and what it is. Of a new channel and of one that is gone there is only one of the two. */
export function changeLine({ field, from, to }: FieldChange, type: ChangeType, { card: texts }: Words, graphemes?: number): RichElement[] {
  const before = from === null && type === 'channel.created' ? null : shown(from, texts, graphemes);
  const after = to === null && type === 'channel.destroyed' ? null : shown(to, texts, graphemes);
  return [
    ...words(texts.label(texts.field[field])),
    ...(before ? words(before.text, { strike: true, ...before.style }) : []),
    ...(before && after ? words(' → ') : []),
    ...(after ? words(after.text, { bold: true, ...after.style }) : []),
    ...(before?.text === after?.text ? words(texts.alike, { italic: true }) : []),
  ];
}

/** Who did it, as far as the vendor told. */
export function operatorOf({ event }: Report, { card: texts }: Words, graphemes?: number): string {
  const { operator } = event.data;
  return operator === null ? texts.byNobody : texts.by(clean(operator, graphemes) || texts.blank);
}

function changeLines({ event }: Report, { words: messages, threads }: RenderContext): RichElement[][] {
  return event.data.changes.map(change => [
    ...changeLine(change, event.type, messages),
    ...(threads && (isLong(change.from ?? '') || isLong(change.to ?? '')) ? words(messages.card.inThread, { italic: true }) : []),
  ]);
}

/** A value, or in italics the word for one that cannot be seen. */
function shown(value: string | null, texts: Words['card'], graphemes?: number): { text: string; style?: { italic: true } } {
  if (value === null) return { text: texts.unknown, style: { italic: true } };
  if (value === '') return { text: texts.empty, style: { italic: true } };
  const text = clean(value, graphemes);
  return text === '' ? { text: texts.blank, style: { italic: true } } : { text };
}

function factsOf(report: Report, context: RenderContext): Message['blocks'][number] {
  const { sdkAppId, changeId, revision } = report.event.data;
  const [texts, app, change] = [context.words.card, clean(sdkAppId, 40), clean(changeId, 60)];
  return {
    type: 'context',
    elements: [
      plain(operatorOf(report, context.words)),
      { type: 'mrkdwn', text: dateMarkup(Date.parse(report.event.timestamp), context) },
      plain(revision === null ? texts.facts(app, change) : texts.factsWithRevision(app, revision, change)),
    ],
  };
}

function accessoryOf({ event }: Report, { card: texts }: Words): object {
  const image = publicImageUrl(event.data.profile.avatarUrl);
  return image === null ? {} : { accessory: { type: 'image', image_url: image, alt_text: texts.avatar } };
}

function notesOf({ stale, tie, eventTimeEstimated }: Report, { card: texts }: Words): RichElement[][] {
  const notes = [];
  if (stale.length > 0) notes.push(tie ? texts.notAppliedTie(stale) : texts.notApplied(stale));
  if (tie) notes.push(texts.tieNote);
  if (eventTimeEstimated) notes.push(texts.estimated);
  return notes.map(note => words(note, { italic: true }));
}
