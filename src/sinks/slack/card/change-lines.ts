import type { RichTextElement, RichTextText } from '@slack/types';
import { type ListedChange, effectOf, lastNameOf } from '../../lookup.js';
import type { ChangeType, FieldChange } from '../../sink.js';
import type { Words } from '../words/en.js';
import { type Line, type RenderContext, bold, code, date, italic, joined, text } from './blocks.js';
import { clean, publicImageUrl } from './card-text.js';

/** The channel's name; for a destroyed channel, the last known one. */
export function nameOf(change: ListedChange, words: Words, graphemes?: number): string {
  return shownName(lastNameOf(change), words, graphemes);
}

/** A channel's name as it is shown. */
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

/** The app, where changes and channels name it. */
export function appOf(sdkAppId: string, { words, severalApps }: RenderContext): string | false {
  return severalApps && words.card.app(clean(sdkAppId, 40));
}

/** A value, or a placeholder in italics if nothing in it is visible. */
export function valueOf(value: string | null, { change: words, card: { blank } }: Words, graphemes?: number): RichTextText {
  const visible = clean(value ?? '', graphemes);
  if (visible !== '') return text(visible);
  return italic(value === null ? words.unknown : value === '' ? words.empty : blank);
}

/** A change in one line: channel, what changed, app, operator and time. */
export function changeItem(change: ListedChange, context: RenderContext, graphemes?: number): Line {
  const facts = joined([appOf(change.event.data.sdkAppId, context), operatorOf(change, context.words, graphemes)]);
  return [...lineOf(change, context, graphemes), ` · ${facts} · `, date(Date.parse(change.event.timestamp), context)];
}

/** A change in one line: channel and what changed. */
export function lineOf(change: ListedChange, { words }: RenderContext, graphemes?: number): Line {
  const name = bold(nameOf(change, words, graphemes));
  return [name, ' ', idOf(change.event.data.channelId, words, graphemes), ' ', ...whatChanged(change, words, graphemes)];
}

/** The changed fields of an update; the effect of any other change. */
export function whatChanged(change: ListedChange, words: Words, graphemes?: number): Line {
  const { changes, revision } = change.event.data;
  if (revision === null || change.event.type !== 'channel.profile.updated') return [effectOf(change, words)];
  const fields = changes.map(field => changeLine(field, 'channel.profile.updated', words, graphemes));
  return fields.flatMap((line, index) => (index > 0 ? [words.digest.next, ...line] : line));
}
