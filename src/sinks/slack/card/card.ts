import type { KnownBlock, RichTextQuote, RichTextSection } from '@slack/types';
import { effectOf, notesOf } from '../../lookup.js';
import type { Report } from '../../report-sink.js';
import { type Line, type Message, type RenderContext, bold, buttonBlock, dateMarkup, italic, joined } from './blocks.js';
import { maxMessageLength, plain, present, richText, section } from './blocks.js';
import { results, summary } from './card-results.js';
import { appOf, changeLine, idOf, nameOf, operatorOf } from './change-lines.js';
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
        [bold(nameOf(report, words)), ` · ${effect} · `, idOf(data.channelId, words)],
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

function changeLines({ event }: Report, { words, threads }: RenderContext): Line[] {
  return event.data.changes.map(change => [
    ...changeLine(change, event.type, words),
    threads && (isLong(change.from ?? '') || isLong(change.to ?? '')) && italic(words.card.inThread),
  ]);
}

/** One small line: avatar, operator, platform and time; then revision and app. */
function factsOf(report: Report, context: RenderContext): KnownBlock {
  const { sdkAppId, revision, profile } = report.event.data;
  const { words } = context;
  const { card: texts } = words;
  const { platform } = report.origin;
  const image = publicImageUrl(profile.avatarUrl);
  const which = joined([revision !== null && texts.revision(revision), appOf(sdkAppId, context)]);
  return {
    type: 'context',
    elements: present([
      image !== null && ({ type: 'image', image_url: image, alt_text: texts.avatar } as const),
      plain(joined([operatorOf(report, words), platform !== null && (clean(platform, 40) || texts.blank)])),
      { type: 'mrkdwn', text: dateMarkup(Date.parse(report.event.timestamp), context) } as const,
      which !== '' && plain(which),
    ]),
  };
}
