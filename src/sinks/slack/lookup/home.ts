import type { HomeView, KnownBlock, RichTextElement } from '@slack/types';
import type { FailedChange, ListedChange, SinkOverview } from '../../lookup.js';
import type { Actions } from '../../sink.js';
import { type RenderContext, buttonBlock, dateMarkup, header, plain, richText, text } from '../card/blocks.js';
import { failedBlocks, maxItems, maxSinks } from './command.js';
import { cleanLines } from '../card/card-text.js';
import { changeItem, fitting, needsAttention, phraseOf, restLine, severalApps, sinkLines } from './lines.js';

/** The content of Home. */
export interface HomeContent {
  sinks: readonly SinkOverview[];
  latest: readonly ListedChange[];
  failed: readonly FailedChange[];
  /** The result of a click in Home. */
  outcome: RichTextElement[][];
}

/** A view with only a text, for users who may not look things up and for failed lookups. */
export function homeText(word: string): HomeView {
  return { type: 'home', blocks: [{ type: 'section', text: plain(word) }] };
}

/** The app's Home tab, sinks first. It has at most 71 of the 100 blocks that Slack allows. */
export function homeView({ sinks, latest, failed, outcome }: HomeContent, context: RenderContext, now: number): HomeView {
  const { words } = context;
  const texts = words.lookup;
  const rest = sinks.slice(maxSinks);
  const apps = severalApps(latest.map(({ event }) => event.data.sdkAppId));
  const changes = latest.map(change => changeItem(change, context, apps));
  const first = texts.home.first.map(line => [text(line)]);
  const blocks: KnownBlock[] = [
    ...(outcome.length > 0 ? [richText(fitting(outcome)), { type: 'divider' } as const] : []),
    header(phraseOf(sinks, context)),
    {
      type: 'actions',
      elements: [{ type: 'button', action_id: 'refresh', text: plain(texts.home.refresh), value: `${context.sink}:home` }],
    },
    ...sinks.slice(0, maxSinks).flatMap(sink => sinkBlocks(sink, context)),
    ...(rest.length > 0 ? [richText([restLine(rest, context)])] : []),
    header(failed.length > 0 ? texts.failed : texts.noneFailed),
    ...failedBlocks(failed, context),
    ...(failed.length > maxItems ? [richText([[text(texts.moreFailed, { italic: true })]])] : []),
    header(texts.latest),
    richText(changes.length > 0 ? fitting(changes) : first),
    {
      type: 'input',
      block_id: 'find',
      dispatch_action: true,
      label: plain(texts.home.find),
      element: { type: 'plain_text_input', action_id: 'find', placeholder: plain(texts.home.placeholder), max_length: 255 },
    },
    { type: 'context', elements: [{ type: 'mrkdwn', text: texts.home.asOf(dateMarkup(now, context)) }] },
  ];
  return { type: 'home', private_metadata: context.sink, blocks };
}

/** A sink with its buttons: beside its line if all is well, otherwise below. */
function sinkBlocks(sink: SinkOverview, context: RenderContext): KnownBlock[] {
  const lines = sinkLines(sink, context);
  const [buttons] = buttonBlock(actionsOf(sink), sink.sink, context);
  if (buttons?.type !== 'actions' || needsAttention(sink)) return [richText(lines), ...(buttons ? [buttons] : [])];
  const words = lines.flat().map(part => ('text' in part ? part.text : part.type === 'emoji' && part.name === 'warning' ? '⚠️' : '✅'));
  const [accessory] = buttons.elements;
  return [{ type: 'section', text: plain(cleanLines(words.join(''), 500)), ...(accessory?.type === 'button' && { accessory }) }];
}

function actionsOf({ state, failed }: SinkOverview): (keyof Actions)[] {
  const stopped = state === 'misconfigured' || state === 'down';
  return [
    ...(stopped ? (['probe'] as const) : []),
    ...(failed > 0 ? (['retryAll'] as const) : []),
    state === 'paused' ? 'resume' : 'pause',
  ];
}
