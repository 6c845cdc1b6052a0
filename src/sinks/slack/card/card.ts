import type { KnownBlock, RichTextElement, RichTextQuote, RichTextSection, RichTextText } from '@slack/types';
import type { ChangeType, FieldChange } from '../../sink.js';
import { type ListedChange, effectOf, lastNameOf, notesOf } from '../../lookup.js';
import type { Report } from '../../report-sink.js';
import type { Line, Message, RenderContext } from './blocks.js';
import { bold, buttonBlock, code, dateMarkup, italic, maxMessageLength, plain, present, richText, section, text } from './blocks.js';
import { results, summary } from './card-results.js';
import { clean, cleanLines, escape, isLong, publicImageUrl } from './card-text.js';
import type { Words } from '../words/en.js';

/**
 * The card of a change. Webhook data only goes into plain_text and rich_text, where it cannot mention, link or format; mrkdwn is only for
 * our own text. Avatar URLs are the exception: as an image, and as links labelled with our words. Block types and their order depend on the
 * change alone, not on its results, because Slack refuses edits that change them; only the buttons at the end come and go.
 * @param isNew whether it is posted rather than edited: names in new messages notify people
 */
export function card(report: Report, context: RenderContext, now: number, isNew = false): Message {
  const { words, threads } = context;
  const { type, data } = report.event;
  const altered = data.revision !== null;
  const isTest = data.test === true;
  const effect = effectOf(report, words);
  const fields = data.changes.map(({ field }) => field);
  const failed = isParked(report);
  return {
    text: escape(notificationOf(report, altered && type === 'channel.profile.updated' ? words.change.updated(fields) : effect, words)),
    blocks: present<KnownBlock>([
      richText([
        [bold(nameOf(report, words)), words.next + effect + words.next, idOf(data.channelId, words)],
        ...(altered ? changeLines(report, context) : []),
        altered && isTest && [italic(words.card.test)],
        ...(altered ? notesOf(report, words) : []).map(note => [italic(note)]),
      ]),
      factsOf(report, context),
      altered && !isTest && results(report, context, now, isNew),
      // Incoming webhooks cannot open modals, and test changes are not stored.
      buttonBlock([failed && 'retry', failed && 'discard', threads && !isTest && 'details'], data.changeId, context),
    ]),
  };
}

function isParked({ results: all }: Report): boolean {
  return all.some(({ state }) => state === 'parked');
}

/** The messageRef of a change without a card. */
export const noCard = JSON.stringify({ card: false });

/** Whether a change that has not been shown yet gets a card. */
export function hasCard(report: Report, { cards }: RenderContext): boolean {
  return cards === 'all' || report.event.data.test === true || (cards === 'problems' && isParked(report));
}

/** The text on a locked phone: failures come first. */
function notificationOf(report: Report, effect: string, words: Words): string {
  const { channelId, revision } = report.event.data;
  const what = words.card.notification(nameOf(report, words, 100), clean(channelId, 100), effect);
  if (revision === null) return what;
  const end = summary(report.results, words);
  return isParked(report) ? words.sentences(end, what) : words.sentences(what, end);
}

/** The values that the card truncates, for its thread. */
export function fullTexts({ event }: Report, { words }: RenderContext): Message[] {
  const { revision, changes } = event.data;
  const values = changes.flatMap(({ field, from, to }) => [
    { label: words.card.before(words.change.field[field]), value: from ?? '' },
    { label: words.card.now(words.change.field[field]), value: to ?? '' },
  ]);
  const long = values.filter(({ value }) => isLong(value));
  if (revision === null || long.length === 0) return [];
  const units = Math.floor(maxMessageLength / long.length) - 100;
  const elements = long.flatMap(({ label, value }): (RichTextSection | RichTextQuote)[] => {
    const kept = cleanLines(value, units);
    const isCut = kept !== cleanLines(value, value.length + 1);
    const quoted = section([kept, isCut && italic(`\n${words.card.cut}`)]);
    return [section([bold(label)]), { ...quoted, type: 'rich_text_quote' }];
  });
  return [{ text: words.card.inFull, blocks: [{ type: 'rich_text', elements }] }];
}

/** The channel's name; for a destroyed channel, the last known one. */
export function nameOf(change: ListedChange, words: Words, graphemes?: number): string {
  return shownName(lastNameOf(change), words, graphemes);
}

export function shownName(name: string | null, { change: texts, card: { noName } }: Words, graphemes?: number): string {
  return name === null ? texts.nameUnknown : clean(name, graphemes) || noName;
}

/** A channel's id, in code style. */
export function idOf(channelId: string, { card: { blank } }: Words, graphemes?: number): RichTextText {
  return code(clean(channelId, graphemes) || blank);
}

/** One field before and after the change; new and destroyed channels have only one of the two. */
export function changeLine({ field, from, to }: FieldChange, type: ChangeType, words: Words, graphemes?: number): Line {
  const { card: texts, change, colon } = words;
  const isAvatar = field === 'avatarUrl';
  const newLink = isAvatar && linkTo(to, texts.newAvatar);
  const before = from === null && type === 'channel.created' ? null : valueOf(from, words, graphemes);
  const after = to === null && type === 'channel.destroyed' ? null : valueOf(to, words, graphemes);
  return [
    change.field[field] + colon,
    before && ((isAvatar && linkTo(from, texts.formerAvatar)) || text(before.text, { strike: true, ...before.style })),
    before && after && ' → ',
    after && (newLink || text(after.text, { bold: true, ...after.style })),
    before?.text === after?.text && !newLink && italic(texts.alike),
  ];
}

/** Longer URLs are shown as truncated text, because they count towards the message's length. */
const maxLinkLength = 500;

/** An avatar as a link with our label; `null` if Slack must not get its URL, or it is too long. */
function linkTo(avatarUrl: string | null, label: string): RichTextElement | null {
  const url = publicImageUrl(avatarUrl);
  return url === null || url.length > maxLinkLength ? null : { type: 'link', url, text: label };
}

/** Who made the change, as far as the vendor says. */
export function operatorOf({ event }: ListedChange, { card: texts, details }: Words, graphemes?: number): string {
  const { operator, source } = event.data;
  if (source !== 'webhook') return details.source[source];
  return operator === null ? texts.byNobody : texts.by(clean(operator, graphemes) || texts.blank);
}

function changeLines({ event }: Report, { words, threads }: RenderContext): Line[] {
  return event.data.changes.map(change => [
    ...changeLine(change, event.type, words),
    threads && (isLong(change.from ?? '') || isLong(change.to ?? '')) && italic(words.card.inThread),
  ]);
}

/** A value, or a placeholder in italics if nothing in it is visible. */
function valueOf(value: string | null, { change: words, card: { blank } }: Words, graphemes?: number): RichTextText {
  const visible = clean(value ?? '', graphemes);
  if (visible !== '') return text(visible);
  return italic(value === null ? words.unknown : value === '' ? words.empty : blank);
}

/** One small line: avatar, operator, platform and time; then revision and app. */
function factsOf(report: Report, context: RenderContext): KnownBlock {
  const { sdkAppId, revision, profile } = report.event.data;
  const { words } = context;
  const { card: texts, next } = words;
  const { platform } = report.origin;
  const image = publicImageUrl(profile.avatarUrl);
  const who = [operatorOf(report, words), platform !== null && (clean(platform, 40) || texts.blank)];
  const which = present([revision !== null && texts.revision(revision), context.severalApps && texts.app(clean(sdkAppId, 40))]);
  return {
    type: 'context',
    elements: present([
      image !== null && ({ type: 'image', image_url: image, alt_text: texts.avatar } as const),
      plain(present(who).join(next)),
      { type: 'mrkdwn', text: dateMarkup(Date.parse(report.event.timestamp), context) } as const,
      which.length > 0 && plain(which.join(next)),
    ]),
  };
}
