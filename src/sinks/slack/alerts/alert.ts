import type { KnownBlock, RichTextElement } from '@slack/types';
import type { Alert, AlertOf } from '../../alert.js';
import { rejectionCauses } from '../../sink.js';
import type { Line, Message, RenderContext } from '../card/blocks.js';
import { bold, buttonBlock, date, header, italic, labelled, period, present, richText, sinkLine, unformatted } from '../card/blocks.js';
import { byActor } from '../card/card-results.js';
import { clean, escape } from '../card/card-text.js';
import type { Words } from '../words/en.js';

type Summary = AlertOf<'summary'>;
type SinkTotals = Summary['sinks'][number];

/** Icon, title and lines of an alert; the first line is the most important. */
interface Content {
  icon: string;
  title: string;
  lines: readonly (Line | false | undefined)[];
}

export interface AlertOptions {
  /** Whether it is the first message of this alert; only that one mentions people. */
  first?: boolean;
  /** Whether it is posted rather than edited: names in new messages notify people. Defaults to `first`. */
  isNew?: boolean;
  /** Whether it is in CHANNEL because it could not be posted to ALERT_CHANNEL. */
  fallback?: boolean;
  /** Permalinks of other alerts by their messageRefs. */
  links?: ReadonlyMap<string, string>;
}

/** The message of an alert. Its block types, except for buttons, stay the same when it ends, so that it can be edited. */
export function alertMessage(alert: Alert, context: RenderContext, options: AlertOptions = {}): Message {
  const { first, isNew = first, fallback, links = new Map() } = options;
  const { words } = context;
  const { icon, title, lines } = contentOf(alert, context, links, isNew === true);
  return {
    text: escape(words.sentences(`${icon} ${title}`, unformatted(lines[0] || []))),
    blocks: present<KnownBlock>([
      header(`${icon} ${title}`),
      richText([...lines, fallback && [italic(words.fallback)], first && mentionLine(alert, context)]),
      period(alert.since, alert.until, context),
      buttonsOf(alert, context),
    ]),
  };
}

/** Mentions people if the alert is urgent: a sink stopped by itself, or webhooks are missing or were rejected. */
function mentionLine(alert: Alert, { mention }: RenderContext): Line | false {
  const urgent =
    (alert.kind === 'incident' && !alert.paused && alert.state !== 'retrying') || alert.kind === 'silence' || alert.kind === 'rejected';
  return urgent && alert.until === null && mention.length > 0 && mention.flatMap(person => [mentionOf(person), ' ']).slice(0, -1);
}

function mentionOf(person: string): RichTextElement {
  if (person === 'here' || person === 'channel') return { type: 'broadcast', range: person };
  return person.startsWith('S') ? { type: 'usergroup', usergroup_id: person } : { type: 'user', user_id: person };
}

function buttonsOf(alert: Alert, context: RenderContext): KnownBlock | null {
  if (alert.kind === 'compared') return buttonBlock(['compareNow'], alert.app, context);
  if (!('sink' in alert) || alert.until !== null) return null;
  if (alert.kind === 'incident') return buttonBlock(alert.paused ? ['resume'] : ['probe', 'pause'], alert.sink, context);
  return buttonBlock([alert.kind === 'parked' ? 'retryAll' : 'repair'], alert.sink, context);
}

/** The latest failures of a sink, for the thread of its incident. */
export function failures(alert: Alert, context: RenderContext): Message[] {
  if (alert.kind !== 'incident' || alert.until !== null || alert.failures.length === 0) return [];
  const { colon, explain, incident: words } = context.words;
  const lines = alert.failures.slice(0, 10).map(({ at, error }) => [date(at, context), colon + clean(explain(error))]);
  return [{ text: words.failures, blocks: [richText([[bold(words.failures)], ...lines])] }];
}

export function keyOf(alert: Alert): string {
  return [alert.kind, ...('sink' in alert ? [alert.sink] : 'app' in alert ? [alert.app] : []), alert.since].join(':');
}

function contentOf(alert: Alert, context: RenderContext, links: ReadonlyMap<string, string>, isNew: boolean): Content {
  const { words } = context;
  if (alert.kind === 'summary') return { icon: '📋', title: words.summary.title, lines: summaryLines(alert, words, links) };
  if (alert.kind === 'compared') return compared(alert, words);
  if ('removed' in alert && alert.removed) return removed(alert, words);
  const sink = 'sink' in alert ? clean(alert.sink, 60) : '';
  const over = (title: string, line: string): Content => ({ icon: '✅', title, lines: [[line]] });
  const lastedMs = alert.until === null ? null : alert.until - alert.since;
  switch (alert.kind) {
    case 'incident':
      return lastedMs === null ? openIncident(alert, sink, words, isNew) : endedIncident(alert, sink, words, lastedMs);
    case 'silence': {
      const texts = words.silence;
      if (lastedMs !== null) return over(texts.over, texts.took(lastedMs));
      return { icon: '🔇', title: texts.title(alert.afterMs), lines: [[alert.rejected ? texts.rejected : texts.calm]] };
    }
    case 'rejected': {
      const texts = words.rejected;
      const total = Object.values(alert.counts).reduce((sum, count) => sum + count, 0);
      if (lastedMs !== null) return over(texts.over, texts.took(total, lastedMs));
      const lines = rejectionCauses.map(cause => {
        const count = alert.counts[cause] ?? 0;
        return count > 0 && labelled(texts.cause[cause](count), texts.todo[cause]);
      });
      return { icon: '🔑', title: texts.title(total), lines: [[texts.lost], ...lines] };
    }
    case 'parked': {
      const texts = words.parked;
      if (lastedMs !== null) return over(texts.over(sink), words.lasted(lastedMs));
      const lines = [...reasonAndAdvice(alert, words, texts.latest), [texts.decide(context.buttons, context.cards !== 'none')]];
      return { icon: '❌', title: texts.title(alert.count, sink), lines };
    }
    case 'differences': {
      const texts = words.differences;
      if (lastedMs !== null) return over(texts.over(sink), words.lasted(lastedMs));
      const todo = labelled(words.todo, context.buttons ? texts.todo : texts.todoByApi(sink));
      return { icon: '🧩', title: texts.title(sink), lines: [labelled(texts.found, differences(alert, words)), todo, [texts.again]] };
    }
    case 'vendor': {
      const texts = words.vendor;
      if (lastedMs !== null) return over(texts.over(alert.app), words.lasted(lastedMs));
      const lines = [...reasonAndAdvice(alert, words), [texts.harmless]];
      return { icon: alert.state === 'misconfigured' ? '🔴' : '⚠️', title: texts[alert.state](alert.app), lines };
    }
  }
}

function openIncident(alert: AlertOf<'incident'>, sink: string, words: Words, isNew: boolean): Content {
  const { state, waiting, paused, by } = alert;
  const texts = words.incident;
  const lines = [
    ...(state === 'paused' ? [] : reasonAndAdvice(alert, words)),
    [paused ? texts.waitingPaused(waiting) : texts.waiting(waiting)],
    alert.again && [texts.again],
    by !== null && byActor(paused ? texts.pausedBy : texts.resumedBy, by, words, isNew),
  ];
  return paused ? { icon: '⏸️', title: texts.paused(sink), lines } : { icon: '🔴', title: texts[state](sink), lines };
}

function endedIncident({ state, reason, waiting }: AlertOf<'incident'>, sink: string, words: Words, lastedMs: number): Content {
  const texts = words.incident;
  const lines = [[state === 'paused' ? texts.wasPaused(lastedMs) : texts.took(lastedMs)], waiting > 0 && [texts.left(waiting)]];
  if (state === 'paused') return { icon: '▶️', title: texts.goesOn(sink), lines };
  return { icon: '✅', title: texts.over(sink), lines: [...lines, labelled(words.wasWrong, words.explain(reason))] };
}

/** The sink was removed before it recovered. */
function removed(alert: AlertOf<'incident' | 'parked' | 'differences'>, words: Words): Content {
  const texts = words.removed;
  const sink = clean(alert.sink, 60);
  const wrong =
    alert.kind === 'differences'
      ? differences(alert, words)
      : alert.kind === 'incident' && alert.state === 'paused'
        ? words.incident.paused(sink)
        : words.explain(alert.reason);
  const days = alert.keptDays ?? 0;
  const left =
    alert.kind === 'incident'
      ? texts.waiting(alert.waiting, sink, days)
      : alert.kind === 'parked'
        ? texts.parked(alert.count, sink, days)
        : texts.index;
  return { icon: '⏹️', title: texts.title(sink), lines: [[left], labelled(words.wasWrong, wrong)] };
}

function differences(alert: AlertOf<'differences'>, { differences: { list, count } }: Words): string {
  const kinds = (['missing', 'older', 'newer', 'surplus'] as const).filter(kind => alert[kind] > 0);
  return list(kinds.map(kind => count[kind](alert[kind])));
}

function compared(alert: AlertOf<'compared'>, words: Words): Content {
  const { app, reason, example, total, corrected, destroyed, imported, failed } = alert;
  const texts = words.compared;
  const lines = [[texts.counts(app, destroyed, imported, failed)], example !== null && labelled(texts.first, exampleOf(example, words))];
  if (reason !== null) {
    const why = reasonAndAdvice({ reason, advice: alert.advice ?? '' }, words);
    return { icon: '🔴', title: texts.failed(app), lines: [...why, ...lines] };
  }
  if (alert.cause === 'import') return { icon: '📥', title: texts.imported(imported, total), lines };
  return { icon: '🔎', title: texts.corrected(corrected + destroyed + imported, alert.compared), lines };
}

function exampleOf({ channelId, field, ours, theirs, reason }: NonNullable<AlertOf<'compared'>['example']>, words: Words): string {
  const { change, colon } = words;
  const name = clean(channelId, 60);
  if (field === null) return name + colon + words.explain(reason ?? '');
  const shown = (value: string | null): string => (value === null ? change.unknown : clean(value, 60) || change.empty);
  return `${name}${colon}${change.field[field as keyof typeof change.field]} ${shown(ours)} → ${shown(theirs)}`;
}

function reasonAndAdvice({ reason, advice }: { reason: string; advice: string }, words: Words, label = words.wrong): Line[] {
  return [labelled(label, words.explain(reason)), labelled(words.todo, words.explain(advice))];
}

const maxSinks = 20;

/** The day in one phrase, then one line per sink. If there are too many, sinks with nothing open are left out first. */
function summaryLines({ changes, channels, sinks }: Summary, words: Words, links: ReadonlyMap<string, string>): Line[] {
  const texts = words.summary;
  const total = (key: 'parked' | 'waiting'): number => sinks.reduce((sum, sink) => sum + sink[key], 0);
  const [parked, waiting] = [total('parked'), total('waiting')];
  const phrase = texts.phrase(texts.changes(changes, channels), parked + waiting === 0 ? texts.well : texts.open(parked, waiting));
  const openFirst = sinks.toSorted((one, other) => Number(isOpen(other)) - Number(isOpen(one)));
  const kept = new Set(openFirst.slice(0, maxSinks));
  const lines = sinks.filter(sink => kept.has(sink)).map(sink => summaryLine(sink, words, links));
  return present([[phrase], ...lines, sinks.length > kept.size && [texts.more(sinks.length - kept.size)]]);
}

function isOpen({ parked, waiting }: SinkTotals): boolean {
  return parked > 0 || waiting > 0;
}

function summaryLine(totals: SinkTotals, { summary: texts }: Words, links: ReadonlyMap<string, string>): Line {
  const { sink, delivered, slowestMs, parked, waiting, messageRefs } = totals;
  const linked = (phrase: string, messageRef: string | null): RichTextElement | string => {
    const url = links.get(messageRef ?? '');
    return url === undefined ? phrase : { type: 'link', url, text: phrase };
  };
  const more = present<RichTextElement | string>([
    slowestMs !== null && texts.slowest(slowestMs),
    parked > 0 && linked(texts.parked(parked), messageRefs.parked),
    waiting > 0 && linked(texts.waiting(waiting), messageRefs.waiting),
  ]);
  const icon = parked > 0 ? 'x' : waiting > 0 ? 'hourglass_flowing_sand' : 'white_check_mark';
  return [...sinkLine(icon, sink, ` ${texts.delivered(delivered)}`), ...more.flatMap(phrase => [' · ', phrase])];
}
