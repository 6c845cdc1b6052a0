import type { KnownBlock, ModalView, RichTextBlock, RichTextElement } from '@slack/types';
import type { ChangeDetails, ListedChange, ShownAttempt } from '../../lookup.js';
import { type RenderContext, date, header, lengthOf, plain, richText, text } from '../card/blocks.js';
import { changeLine, effectOf, idOf, nameOf, operatorOf } from '../card/card.js';
import { clean, cleanLines, publicImageUrl } from '../card/card-text.js';
import { icons } from '../card/card-results.js';

/** How much tries and the raw webhook may take up: a view is refused when it is far larger than a message. */
const mostUnits = { attempts: 4000, webhook: 2500 };
const mostResponse = 200;

/**
 * All that is known of a change, in a modal.
 * @param link to the page with the same, if people's browsers can reach that
 */
export function detailsView(details: ChangeDetails, context: RenderContext, link: string | null): ModalView {
  const { words } = context;
  const texts = words.lookup.details;
  const { event, origin } = details;
  const image = publicImageUrl(event.data.profile.avatarUrl);
  const revision = event.data.revision === null ? [] : [words.lookup.revision(event.data.revision)];
  const facts = [
    operatorOf(details, words),
    ...Object.entries(texts.origin).flatMap(([key, say]) => {
      const value = origin[key as keyof typeof origin];
      return value === null ? [] : [say(clean(value, 80))];
    }),
  ];
  const which = [texts.source[event.data.source], words.lookup.app(clean(event.data.sdkAppId, 40)), ...revision];
  const changes = event.data.revision === null ? [] : event.data.changes.map(change => changeLine(change, event.type, words));
  const blocks: KnownBlock[] = [
    {
      type: 'section',
      text: plain(nameOf(details, words)),
      ...(image !== null && { accessory: { type: 'image', image_url: image, alt_text: words.card.avatar } }),
    },
    richText([
      [text(effectOf(details, words), { bold: true }), text(' '), idOf(event.data.channelId, words)],
      ...changes,
      [text(facts.join(words.next))],
      [text(which.join(words.next))],
      [text(texts.happened), date(Date.parse(event.timestamp), context), text(texts.received), date(details.receivedAt, context)],
      ...(link === null ? [] : [[{ type: 'link' as const, url: link, text: texts.page }]]),
    ]),
    header(texts.deliveries),
    deliveries(details, context),
    header(texts.webhook),
    webhook(details.webhook, context),
    header(texts.before),
    neighbours(details.before, context),
    header(texts.after),
    neighbours(details.after, context),
  ];
  return { type: 'modal', title: plain(texts.title), close: plain(texts.close), blocks };
}

function deliveries({ deliveries: all }: ChangeDetails, context: RenderContext): KnownBlock {
  const { words } = context;
  if (all.length === 0) return richText([[text(words.results.none)]]);
  let left = mostUnits.attempts;
  const elements = all.flatMap(({ sink, state, reason, attempts }): RichTextBlock['elements'] => {
    const why = state === 'delivered' || reason === null ? '' : words.colon + clean(words.explain(reason), 150);
    const line = [
      { type: 'emoji' as const, name: icons[state] },
      text(` ${clean(sink, 60)}`, { bold: true }),
      text(` ${words.results.state[state]}${why}`),
    ];
    // The latest tries say most.
    const kept = attempts.toReversed().flatMap(attempt => {
      const shown = attemptLine(attempt, context);
      left -= lengthOf(shown);
      return left > 0 ? [shown] : [];
    });
    const rest = attempts.length - kept.length;
    const lines = [...(rest > 0 ? [[text(words.lookup.details.earlier(rest), { italic: true })]] : []), ...kept.reverse()];
    const section = (elements: RichTextElement[]) => ({ type: 'rich_text_section' as const, elements });
    return [
      section(line),
      ...(lines.length > 0 ? [{ type: 'rich_text_list' as const, style: 'bullet' as const, elements: lines.map(section) }] : []),
    ];
  });
  return { type: 'rich_text', elements };
}

/** When, how it ended and how long it took; of a failure what the target said. */
function attemptLine({ at, durationMs, outcome, status, error, response }: ShownAttempt, context: RenderContext): RichTextElement[] {
  const { words } = context;
  const texts = words.lookup.details;
  const parts = [
    texts.outcome[outcome as keyof typeof texts.outcome] ?? clean(outcome, 40),
    texts.took(durationMs),
    ...(status === null ? [] : [`HTTP ${status}`]),
    ...(error === null ? [] : [clean(words.explain(error), 150)]),
  ];
  const answer = response === null ? '' : clean(response, mostResponse);
  return [
    date(at, context),
    text(words.next + parts.join(words.next)),
    ...(answer === '' ? [] : [text(words.next), text(answer, { code: true })]),
  ];
}

function webhook(body: string | null, { words }: RenderContext): KnownBlock {
  const texts = words.lookup.details;
  if (body === null) return richText([[text(texts.noWebhook)]]);
  const kept = cleanLines(body, mostUnits.webhook);
  const isCut = kept !== cleanLines(body, body.length + 1);
  const shown = { type: 'rich_text_preformatted' as const, elements: [text(kept || words.card.blank)] };
  const rest = { type: 'rich_text_section' as const, elements: [text(texts.cut, { italic: true })] };
  return { type: 'rich_text', elements: isCut ? [shown, rest] : [shown] };
}

function neighbours(changes: readonly ListedChange[], context: RenderContext): KnownBlock {
  const { words } = context;
  const lines = changes.map((change): RichTextElement[] => {
    const { revision, changes: fields } = change.event.data;
    const phrases = fields.flatMap((field, index) => [
      ...(index > 0 ? [text(words.digest.next)] : []),
      ...changeLine(field, 'channel.profile.updated', words, 30),
    ]);
    const isUpdate = revision !== null && change.event.type === 'channel.profile.updated';
    return [
      date(Date.parse(change.event.timestamp), context),
      text(words.next),
      ...(isUpdate ? phrases : [text(effectOf(change, words))]),
      text(words.next + operatorOf(change, words, 40)),
    ];
  });
  return richText(lines.length > 0 ? lines : [[text(words.lookup.details.none)]]);
}
