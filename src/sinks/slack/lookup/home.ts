import type { HomeView, KnownBlock } from '@slack/types';
import type { FailedChange, ListedChange, SinkOverview } from '../../lookup.js';
import type { Line, RenderContext } from '../card/blocks.js';
import { buttonBlock, dateMarkup, header, italic, plain, present, richText, unformatted } from '../card/blocks.js';
import { failedBlocks, maxItems, maxSinks } from './command.js';
import { cleanLines } from '../card/card-text.js';
import { changeItem } from '../card/change-lines.js';
import { fitting, maxGraphemes, needsAttention, phraseOf, restLine, sinkLines, withApps } from './lines.js';

export interface HomeContent {
  sinks: readonly SinkOverview[];
  latest: readonly ListedChange[];
  failed: readonly FailedChange[];
  /** The result of a click in Home. */
  outcome: readonly Line[];
}

/** A view with only a text, for users who may not look things up and for failed lookups. */
export function homeText(message: string): HomeView {
  return { type: 'home', blocks: [{ type: 'section', text: plain(message) }] };
}

/** The app's Home tab, sinks first. It has at most 71 of the 100 blocks that Slack allows. */
export function homeView({ sinks, latest, failed, outcome }: HomeContent, context: RenderContext, now: number): HomeView {
  const texts = context.words.lookup;
  const rest = restLine(sinks.slice(maxSinks), context);
  const listed = latest.map(({ event }) => event.data);
  const inApps = withApps(context, listed);
  const changes = latest.map(change => changeItem(change, inApps, maxGraphemes));
  const blocks = present<KnownBlock>([
    outcome.length > 0 && richText(fitting(outcome)),
    outcome.length > 0 && { type: 'divider' },
    header(phraseOf(sinks, context)),
    buttonBlock(['refresh'], 'home', { ...context, buttons: true }),
    ...sinks.slice(0, maxSinks).flatMap(sink => sinkBlocks(sink, context)),
    rest && richText([rest]),
    header(failed.length > 0 ? texts.failed : texts.noneFailed),
    ...failedBlocks(failed, context),
    failed.length > maxItems && richText([[italic(texts.moreFailed)]]),
    header(texts.latest),
    richText(changes.length > 0 ? fitting(changes) : texts.home.first.map(line => [line])),
    {
      type: 'input',
      block_id: 'find',
      dispatch_action: true,
      label: plain(texts.home.find),
      element: { type: 'plain_text_input', action_id: 'find', placeholder: plain(texts.home.placeholder), max_length: 255 },
    },
    { type: 'context', elements: [{ type: 'mrkdwn', text: texts.home.asOf(dateMarkup(now, context)) }] },
  ]);
  return { type: 'home', private_metadata: context.sink, blocks };
}

/** A sink with its buttons: beside its line if all is well, otherwise below. */
function sinkBlocks(sink: SinkOverview, context: RenderContext): KnownBlock[] {
  const { state, failed } = sink;
  const lines = sinkLines(sink, context);
  const actions = [
    (state === 'misconfigured' || state === 'down') && 'probe',
    failed > 0 && 'retryAll',
    state === 'paused' ? 'resume' : 'pause',
  ] as const;
  const buttons = buttonBlock(actions, sink.sink, context);
  if (buttons?.type !== 'actions' || needsAttention(sink)) return present([richText(lines), buttons]);
  const icon = state === 'retrying' ? '⚠️' : '✅';
  const text = icon + lines.map(unformatted).join('\n');
  const [accessory] = buttons.elements;
  return [{ type: 'section', text: plain(cleanLines(text, 500)), ...(accessory?.type === 'button' && { accessory }) }];
}
