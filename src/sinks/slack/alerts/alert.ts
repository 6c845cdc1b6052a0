import type { RichTextElement } from '@slack/types';
import type { Alert } from '../../alert.js';
import { type Actions, rejectionCauses } from '../../sink.js';
import { type Message, type RenderContext, buttonBlock, date, header, period, richText, text } from '../card/blocks.js';
import { byActor } from '../card/card-results.js';
import { clean, escape } from '../card/card-text.js';
import type { Words } from '../words/en.js';
import { summaryLines, summaryPhrase } from './summary.js';

/** Icon, title and lines of an alert; the first line is the most important. */
interface Content {
  icon: string;
  title: string;
  lines: RichTextElement[][];
}

/** How an alert is posted. */
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
export function alertMessage(
  alert: Alert,
  context: RenderContext,
  { first, isNew = first, fallback, links = new Map() }: AlertOptions = {},
): Message {
  const { icon, title, lines } = contentOf(alert, context, links, isNew === true);
  const beside = [...(fallback ? [[text(context.words.fallback, { italic: true })]] : []), ...(first ? mentionLine(alert, context) : [])];
  const firstLine = lines[0]?.map(one => (one.type === 'text' ? one.text : '')).join('') ?? '';
  return {
    text: escape(context.words.notification(`${icon} ${title}`, firstLine)),
    blocks: [
      header(`${icon} ${title}`),
      richText([...lines, ...beside]),
      period(alert.since, alert.until, context),
      ...('sink' in alert && alert.until === null ? buttonBlock(actionsOf(alert), alert.sink, context) : []),
      ...(alert.kind === 'compared' ? buttonBlock(['compareNow'], alert.app, context) : []),
    ],
  };
}

/** Mentions people if the alert is urgent: a sink stopped by itself, or webhooks are missing or were rejected. */
function mentionLine(alert: Alert, { mention }: RenderContext): RichTextElement[][] {
  const urgent =
    (alert.kind === 'incident' && !alert.paused && alert.state !== 'retrying') || alert.kind === 'silence' || alert.kind === 'rejected';
  if (!urgent || alert.until !== null || mention.length === 0) return [];
  return [mention.flatMap((person, index) => [...(index > 0 ? [text(' ')] : []), mentionOf(person)])];
}

function mentionOf(person: string): RichTextElement {
  if (person === 'here' || person === 'channel') return { type: 'broadcast', range: person };
  return person.startsWith('S') ? { type: 'usergroup', usergroup_id: person } : { type: 'user', user_id: person };
}

/** The latest failures of a sink, for the thread of its incident. */
export function failures(alert: Alert, context: RenderContext): Message[] {
  if (alert.kind !== 'incident' || alert.until !== null || alert.failures.length === 0) return [];
  const { colon, explain, incident: words } = context.words;
  const lines = alert.failures.slice(0, 10).map(({ at, error }) => [date(at, context), text(colon + clean(explain(error)))]);
  return [{ text: words.failures, blocks: [richText([[text(words.failures, { bold: true })], ...lines])] }];
}

/** Identifies an alert. */
export function keyOf(alert: Alert): string {
  return [alert.kind, ...('sink' in alert ? [alert.sink] : 'app' in alert ? [alert.app] : []), alert.since].join(':');
}

function contentOf(alert: Alert, context: RenderContext, links: ReadonlyMap<string, string>, isNew: boolean): Content {
  const { words } = context;
  switch (alert.kind) {
    case 'incident':
      return alert.until === null ? incident(alert, words, isNew) : incidentOver(alert, alert.until, words);
    case 'silence': {
      const { title, calm, rejected, over, took } = words.silence;
      if (alert.until !== null) return resolved(over, took(alert.until - alert.since));
      return { icon: '🔇', title: title(alert.afterMs), lines: [[text(alert.rejected ? rejected : calm)]] };
    }
    case 'rejected':
      return rejections(alert, words);
    case 'parked': {
      const { title, newest, decide, over } = words.parked;
      const sink = clean(alert.sink, 60);
      if (alert.removed) return removed(sink, words.explain(alert.reason), words.removed.parked(alert.count), words);
      if (alert.until !== null) return resolved(over(sink), words.lasted(alert.until - alert.since));
      const lines = [...trouble(alert, words, newest), [text(decide(context.buttons, context.cards !== 'none'))]];
      return { icon: '❌', title: title(alert.count, sink), lines };
    }
    case 'differences':
      return differences(alert, context);
    case 'vendor':
      return vendor(alert, words);
    case 'compared':
      return compared(alert, words);
    case 'summary':
      return { icon: '📋', title: words.summary.title, lines: [[text(summaryPhrase(alert, words))], ...summaryLines(alert, words, links)] };
  }
}

function rejections({ counts, since, until }: Extract<Alert, { kind: 'rejected' }>, { rejected: words }: Words): Content {
  const causes = rejectionCauses.flatMap(cause => (counts[cause] ? [{ cause, count: counts[cause] }] : []));
  const count = causes.reduce((sum, one) => sum + one.count, 0);
  if (until !== null) return resolved(words.over, words.took(count, until - since));
  const lines = causes.map(one => labelled(words.cause[one.cause](one.count), words.todo[one.cause]));
  return { icon: '🔑', title: words.title(count), lines: [[text(words.lost)], ...lines] };
}

type Incident = Extract<Alert, { kind: 'incident' }>;

function incident(alert: Incident, words: Words, isNew: boolean): Content {
  const { sink, state, waiting, paused, by, again } = alert;
  const texts = words.incident;
  const lines = state === 'paused' ? [] : trouble(alert, words);
  lines.push([text(paused ? texts.waitingPaused(waiting) : texts.waiting(waiting))]);
  if (again) lines.push([text(texts.again)]);
  if (by !== null) lines.push(byActor(paused ? texts.pausedBy : texts.resumedBy, by, words, isNew));
  const name = clean(sink, 60);
  return paused ? { icon: '⏸️', title: texts.paused(name), lines } : { icon: '🔴', title: texts[state](name), lines };
}

function incidentOver(alert: Incident, until: number, words: Words): Content {
  const { since, state, reason, waiting } = alert;
  const texts = words.incident;
  const sink = clean(alert.sink, 60);
  if (alert.removed)
    return removed(sink, state === 'paused' ? texts.paused(sink) : words.explain(reason), words.removed.waiting(waiting), words);
  const lines: RichTextElement[][] = [[text(texts.took(until - since))], ...(waiting > 0 ? [[text(texts.left(waiting))]] : [])];
  if (state === 'paused') return { icon: '▶️', title: texts.goesOn(sink), lines };
  return { icon: '✅', title: texts.over(sink), lines: [...lines, labelled(words.wasWrong, words.explain(reason))] };
}

function resolved(title: string, took: string): Content {
  return { icon: '✅', title, lines: [[text(took)]] };
}

/** The sink was removed before it recovered. */
function removed(sink: string, wasWrong: string, left: string, words: Words): Content {
  return { icon: '⏹️', title: words.removed.title(sink), lines: [[text(left)], labelled(words.wasWrong, wasWrong)] };
}

function differences(alert: Extract<Alert, { kind: 'differences' }>, { words, buttons }: RenderContext): Content {
  const texts = words.differences;
  const sink = clean(alert.sink, 60);
  const kinds = (['missing', 'older', 'newer', 'surplus'] as const).filter(kind => alert[kind] > 0);
  const found = texts.list(kinds.map(kind => texts.count[kind](alert[kind])));
  if (alert.removed) return removed(sink, found, words.removed.index, words);
  if (alert.until !== null) return resolved(texts.over(sink), words.lasted(alert.until - alert.since));
  const todo = labelled(words.todo, buttons ? texts.todo : texts.todoByApi(sink));
  return { icon: '🧩', title: texts.title(sink), lines: [labelled(texts.found, found), todo, [text(texts.again)]] };
}

function vendor(alert: Extract<Alert, { kind: 'vendor' }>, words: Words): Content {
  const { app, state, since, until } = alert;
  const texts = words.vendor;
  if (until !== null) return resolved(texts.over(app), words.lasted(until - since));
  const lines = [...trouble(alert, words), [text(texts.harmless)]];
  return { icon: state === 'misconfigured' ? '🔴' : '⚠️', title: texts[state](app), lines };
}

type Compared = Extract<Alert, { kind: 'compared' }>;

function compared(alert: Compared, words: Words): Content {
  const { app, cause, reason, advice, example } = alert;
  const texts = words.compared;
  const counts = [text(texts.counts(app, alert.destroyed, alert.imported, alert.failed))];
  const first = example ? [labelled(texts.first, exampleOf(example, words))] : [];
  if (reason !== null)
    return { icon: '🔴', title: texts.failed(app), lines: [...trouble({ reason, advice: advice ?? '' }, words), counts, ...first] };
  if (cause === 'import') return { icon: '📥', title: texts.imported(alert.imported, alert.total), lines: [counts, ...first] };
  const changed = alert.corrected + alert.destroyed + alert.imported;
  return { icon: '🔎', title: texts.corrected(changed, alert.compared), lines: [counts, ...first] };
}

function exampleOf({ channelId, field, ours, theirs, reason }: NonNullable<Compared['example']>, words: Words): string {
  const { change, colon } = words;
  const name = clean(channelId, 60);
  if (field === null) return name + colon + words.explain(reason ?? '');
  const shown = (value: string | null): string => (value === null ? change.unknown : clean(value, 60) || change.empty);
  return `${name}${colon}${change.field[field as keyof typeof change.field]} ${shown(ours)} → ${shown(theirs)}`;
}

/** The reason and the advice. */
function trouble({ reason, advice }: { reason: string; advice: string }, words: Words, label = words.wrong): RichTextElement[][] {
  return [labelled(label, words.explain(reason)), labelled(words.todo, words.explain(advice))];
}

/** A text, such as another sink's error, after a bold label. */
function labelled(label: string, content: string): RichTextElement[] {
  return [text(label, { bold: true }), text(clean(content) || '–')];
}

function actionsOf(alert: Alert): (keyof Actions)[] {
  if (alert.kind === 'incident') return alert.paused ? ['resume'] : ['probe', 'pause'];
  return alert.kind === 'parked' ? ['retryAll'] : alert.kind === 'differences' ? ['repair'] : [];
}
