import type { KnownBlock, ModalView, RichTextBlock } from '@slack/types';
import { type ChangeDetails, type ListedChange, type AttemptDetails, effectOf } from '../../lookup.js';
import { type Line, type RenderContext, bold, code, date, firstFitting, header, italic, joined } from '../card/blocks.js';
import { lengthOf, moreLine, plain, present, richText, section } from '../card/blocks.js';
import { changeLine, idOf, nameOf, operatorOf } from '../card/change-lines.js';
import { clean, cleanLines } from '../card/card-text.js';
import { resultLine } from '../card/card-results.js';
import { channelChange } from './lines.js';

/** Length limits for the sinks, their attempts and the raw webhook: Slack refuses views that are far larger than a message. */
const maxUnits = { sinks: 3000, attempts: 4000, webhook: 2500 };
const maxResponse = 200;

/**
 * All details of a change, in a modal. Has no avatar image: Slack fetches images while it opens a modal, and refuses it if one fails.
 * @param link to the page with the same details, if browsers can reach it
 */
export function detailsView(details: ChangeDetails, context: RenderContext, link: string | null, now: number): ModalView {
  const { words } = context;
  const texts = words.lookup.details;
  const { event, origin } = details;
  const { source, sdkAppId, revision, changes } = event.data;
  const facts = joined([
    source === 'webhook' && operatorOf(details, words),
    origin.platform !== null && texts.origin.platform(clean(origin.platform, 80)),
    origin.clientIp !== null && texts.origin.clientIp(clean(origin.clientIp, 80)),
    origin.owner !== null && texts.origin.owner(clean(origin.owner, 80)),
  ]);
  const app = words.card.app(clean(sdkAppId, 40));
  const blocks: KnownBlock[] = [
    { type: 'section', text: plain(nameOf(details, words)) },
    richText([
      [bold(effectOf(details, words)), ' ', idOf(event.data.channelId, words)],
      ...(revision === null ? [] : changes.map(change => changeLine(change, event.type, words))),
      facts !== '' && [facts],
      [joined([words.details.source[source], app, revision !== null && words.card.revision(revision)])],
      [texts.happened, date(Date.parse(event.timestamp), context), texts.received, date(details.receivedAt, context)],
      link !== null && [{ type: 'link', url: link, text: texts.page }],
    ]),
    header(words.details.deliveries),
    deliveries(details, context, now),
    header(words.details.webhook),
    webhook(details.webhook, context),
    header(words.details.before),
    neighbours(details.before, context),
    header(words.details.after),
    neighbours(details.after, context),
  ];
  return { type: 'modal', title: plain(words.buttons.details), close: plain(texts.close), blocks };
}

function deliveries({ deliveries: all }: ChangeDetails, context: RenderContext, now: number): KnownBlock {
  const { words } = context;
  if (all.length === 0) return richText([[words.results.none]]);
  const lines = all.map(delivery => resultLine(delivery, context, now));
  const shown = firstFitting(lines, maxUnits.sinks);
  let left = maxUnits.attempts;
  const elements = shown.flatMap((line, index): RichTextBlock['elements'] => {
    // The latest attempts are the most informative.
    const attempts = all[index]!.attempts.toReversed().map(attempt => attemptLine(attempt, context));
    const kept = firstFitting(attempts, left);
    left -= kept.reduce((sum, attempt) => sum + lengthOf(attempt), 0);
    const items = present([moreLine(attempts.length - kept.length, words.lookup.details.earlier), ...kept.reverse()]);
    return present([section(line), items.length > 0 && { type: 'rich_text_list', style: 'bullet', elements: items.map(section) }]);
  });
  const more = present([moreLine(all.length - shown.length, words.lookup.more)]);
  return { type: 'rich_text', elements: [...elements, ...more.map(section)] };
}

function attemptLine({ at, durationMs, outcome, status, error, response }: AttemptDetails, context: RenderContext): Line {
  const { words } = context;
  const { outcome: outcomes } = words.details;
  const facts = joined([
    outcomes[outcome as keyof typeof outcomes] ?? clean(outcome, 40),
    words.formats.duration(durationMs),
    status !== null && `HTTP ${status}`,
    error !== null && clean(words.explain(error), 150),
  ]);
  const answer = clean(response ?? '', maxResponse);
  return [date(at, context), ` · ${facts}`, answer && ' · ', answer && code(answer)];
}

function webhook(body: string | null, { words }: RenderContext): KnownBlock {
  if (body === null) return richText([[words.details.noWebhook]]);
  const kept = cleanLines(body, maxUnits.webhook);
  const isCut = kept !== cleanLines(body, body.length + 1);
  const shown = { type: 'rich_text_preformatted' as const, elements: [{ type: 'text' as const, text: kept || words.card.blank }] };
  return { type: 'rich_text', elements: present([shown, isCut && section([italic(words.card.cut)])]) };
}

function neighbours(changes: readonly ListedChange[], context: RenderContext): KnownBlock {
  return richText(changes.length > 0 ? changes.map(change => channelChange(change, context)) : [[context.words.details.none]]);
}
