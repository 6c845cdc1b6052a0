import { readExplanation } from '../../../explanations/explanation.js';
import type { SinkResult } from '../../report-sink.js';
import type { FieldName } from '../../sink.js';
import { countedMost } from '../../alert.js';
import { formatsOf } from '../card/formats.js';
import { lookupEn } from './lookup-en.js';

const formats = formatsOf('en');
const { number, counted, duration, list } = formats;
const changes = (count: number) => counted(count, 'change', 'changes');
const upToMost = (count: number, one: string, other: string) =>
  count > countedMost ? `More than ${counted(countedMost, one, other)}` : counted(count, one, other);
const field: Record<FieldName, string> = { name: 'Name', avatarUrl: 'Avatar', introduction: 'Introduction', organization: 'Organization' };
const fields = (all: readonly FieldName[]) => list(all.map(one => field[one].toLowerCase()));
const inBrackets = (all: readonly FieldName[]) => (all.length > 0 ? ` (${fields(all)})` : '');
const state: Record<SinkResult['state'], string> = {
  delivered: 'delivered',
  superseded: 'superseded by something newer',
  parked: 'parked',
  discarded: 'discarded',
  pending: 'waiting',
  retrying: 'failing',
};

/** Every text of our messages in English, and the type that each other language has to satisfy. */
export const en = {
  formats,
  lookup: lookupEn,
  api: 'the API',
  colon: ': ',
  period: (from: string, to: string) => `${from} – ${to}`,
  since: (time: string) => `Since ${time}`,
  notification: (title: string, first: string) => `${title}. ${first}`,

  card: {
    field,
    created: 'Channel created',
    reCreated: 'Channel created again',
    updated: (all: readonly FieldName[]) => `Profile changed${inBrackets(all)}`,
    destroyed: 'Channel destroyed',
    notification: (name: string, id: string, effect: string, end: string) => `${name} (${id}): ${effect}${end === '' ? '' : `. ${end}`}.`,
    nameUnknown: '(name unknown)',
    noName: '(no name)',
    unknown: 'unknown',
    empty: '(empty)',
    blank: '(blank)',
    avatar: 'Avatar',
    alike: ' (they differ in what is not shown here)',
    inThread: ' (in full in the thread)',
    by: (who: string) => `by ${who}`,
    byNobody: 'operator not told',
    facts: (app: string, revision: number | null, change: string) =>
      `app ${app}${revision === null ? '' : `, revision ${number(revision)}`}, change ${change}`,
    nothing: (why: string) => `Nothing changed: ${why}`,
    older: (all: readonly FieldName[]) => `older than what we have; not applied${inBrackets(all)}`,
    tie: (all: readonly FieldName[]) => `another webhook of the same time counts${inBrackets(all)}`,
    destroyedAlready: 'the channel was destroyed already',
    equal: 'equal to what we have',
    notApplied: (all: readonly FieldName[], tie: boolean) =>
      `Not applied: ${fields(all)}. What we have is newer${tie ? ' or of the same time' : ''}.`,
    tieNote: 'Another webhook of the same time says something else; of two such texts the greater one counts.',
    estimated: 'The webhook carried no usable time: this is when it arrived.',
    test: 'This is a test: nothing has changed.',
    before: (name: string) => `${name} before`,
    now: (name: string) => `${name} now`,
    inFull: 'In full',
    cut: 'Cut here: all of it is in the API.',
  },

  results: {
    state,
    deliveredIn: (ms: number) => `delivered in ${duration(ms)}`,
    again: ', is tried again',
    next: { retrying: ', is tried again ', pending: ', is tried ' },
    held: { paused: 'the sink is paused', removed: 'the sink is no longer configured' },
    count: (count: number, which: SinkResult['state']) => `${number(count)} ${which === 'superseded' ? 'superseded' : state[which]}`,
    folded: (count: number, what: readonly string[]) => `… and ${number(count)} more: ${list(what)}`,
    none: 'No other sink to tell',
    waiting: (open: number, all: number) => `Waiting for ${number(open)} of ${counted(all, 'sink', 'sinks')}`,
    all: 'All sinks have it',
    allOrNewer: 'All sinks have it or something newer',
    done: (what: readonly string[]) => `Done: ${list(what)}`,
    replay: (who: string) => `Retried by ${who}, `,
    discard: (who: string) => `Discarded by ${who}, `,
    actionsBefore: (count: number) => `… and ${counted(count, 'earlier action', 'earlier actions')}`,
  },

  buttons: {
    retry: 'Retry',
    discard: 'Discard',
    pause: 'Pause',
    resume: 'Resume',
    repair: 'Repair',
  },
  /** What the buttons that ask first say. */
  confirm: {
    discard: {
      title: 'Discard this change?',
      text: 'It will not be sent to the sinks where it failed. You can still replay it through the API.',
    },
    pause: {
      title: 'Pause this sink?',
      text: 'Nothing is sent to it until someone resumes it. Changes are queued meanwhile; none is lost.',
    },
    repair: {
      title: 'Repair this search index?',
      text: 'Missing and outdated documents are sent again; extra documents are deleted.',
    },
    no: 'Cancel',
  },

  digest: {
    title: (count: number) => (count === 1 ? '1 change, every sink has it' : `${changes(count)}, every sink has them`),
    notification: (title: string, names: readonly string[], isAll: boolean) => `${title}: ${names.join(', ')}${isAll ? '' : ' …'}`,
    more: (count: number, inThread: boolean) => `… and ${number(count)} more${inThread ? ': all in the thread' : ''}`,
    next: '; ',
    part: (part: number, of: number) => `Part ${number(part)} of ${number(of)}`,
    rest: (count: number) => `… and ${number(count)} more, to be found in the API`,
  },

  wrong: 'What is wrong: ',
  wasWrong: 'What was wrong: ',
  todo: 'What to do: ',
  /** A reason or a piece of advice, as it is stored. */
  explain: (text: string) => readExplanation(text),

  incident: {
    misconfigured: (sink: string) => `${sink} stands still: its set-up is wrong`,
    retrying: (sink: string) => `A check of ${sink} failed`,
    down: (sink: string) => `${sink} is down`,
    paused: (sink: string) => `${sink} is paused`,
    over: (sink: string) => `${sink} is well again`,
    goesOn: (sink: string) => `${sink} is not paused any more`,
    waiting: (count: number) =>
      count === 0
        ? 'No change waits for it. New ones will be kept until it works again.'
        : `${upToMost(count, 'change waits', 'changes wait')} for it. Nothing is lost: they go out as soon as it works again.`,
    waitingPaused: (count: number) =>
      count === 0
        ? 'No change waits for it. New ones will be kept until somebody resumes it.'
        : `${upToMost(count, 'change waits', 'changes wait')} for it. Nothing is lost: they go out when somebody resumes it.`,
    took: (ms: number) => `It lasted ${duration(ms)}. No change was lost.`,
    left: (count: number) => `${upToMost(count, 'change that waited is', 'changes that waited are')} on the way.`,
    pausedBy: (who: string) => `Paused by ${who}.`,
    resumedBy: (who: string) => `Resumed by ${who}.`,
    failures: 'The newest failures',
  },

  /** Of a sink that had an alert. */
  removed: {
    title: (sink: string) => `${sink} is no longer configured`,
    waiting: (count: number) =>
      count === 0
        ? 'No change waits for it.'
        : `${upToMost(count, 'change still waits', 'changes still wait')} for it, to go out if it is configured again within RETENTION_DAYS.`,
    parked: (count: number) =>
      `${upToMost(count, 'change stays', 'changes stay')} parked there, to be sent again if it is configured again within RETENTION_DAYS.`,
    index: 'Its index stays as it is.',
  },

  silence: {
    title: (ms: number) => `No webhook for more than ${duration(ms)}`,
    calm: 'Normal if no profile was edited. Otherwise: check in the Tencent Chat console that the callback URL points here and that the official account callbacks are on.',
    rejected: 'Webhooks did arrive, but were rejected: see the alert about rejected webhooks.',
    over: 'Webhooks are arriving again',
    took: (ms: number) => `None for ${duration(ms)}.`,
  },

  rejected: {
    title: (count: number) => `${counted(count, 'webhook', 'webhooks')} rejected`,
    lost: 'They are lost: Tencent Chat does not send them again.',
    cause: {
      app: (count: number) => `${number(count)} × unknown SdkAppid: `,
      unsigned: (count: number) => `${number(count)} × no signature: `,
      clock: (count: number) => `${number(count)} × too far from our clock: `,
      signature: (count: number) => `${number(count)} × invalid signature: `,
      too_large: (count: number) => `${number(count)} × too large: `,
      invalid: (count: number) => `${number(count)} × unreadable: `,
      unavailable: (count: number) => `${number(count)} × could not be stored: `,
    },
    todo: {
      app: 'check SDK_APP_IDS. If it lists all of your apps, someone else is calling this URL; those requests are rejected.',
      unsigned: 'turn on authentication for callbacks in the Tencent Chat console, with the token in WEBHOOK_TOKENS.',
      clock: 'check the clock of this machine. If it is right, someone else is calling this URL; those requests are rejected.',
      signature:
        'compare WEBHOOK_TOKENS with the token in the Tencent Chat console. If they match, someone else is calling this URL; those requests are rejected.',
      too_large: 'raise WEBHOOK_BODY_LIMIT.',
      invalid: 'check what changes requests on their way here, such as a proxy.',
      unavailable: 'check the database and SPOOL_DIR; the log says what failed.',
    },
    over: 'No more webhooks are rejected',
    took: (count: number, ms: number) => `${counted(count, 'webhook was', 'webhooks were')} rejected in ${duration(ms)}.`,
  },

  parked: {
    title: (count: number, sink: string) => `${upToMost(count, 'change is', 'changes are')} parked at ${sink}`,
    newest: 'Why, of the newest: ',
    decide: 'Each waits until somebody sends it again or discards it: on its card, or over the API.',
    decideByApi: 'Each waits until somebody sends it again or discards it over the API.',
    over: (sink: string) => `Nothing is parked at ${sink} any more`,
    took: (ms: number) => `It lasted ${duration(ms)}.`,
  },

  differences: {
    title: (sink: string) => `The index of ${sink} is not what it should be`,
    found: (what: readonly string[]) => `the newest comparison with our store found ${list(what)}`,
    count: {
      missing: (count: number) => `${counted(count, 'document', 'documents')} missing`,
      older: (count: number) => `${number(count)} out of date`,
      newer: (count: number) => `${number(count)} newer than ours`,
      surplus: (count: number) => `${number(count)} too many`,
    },
    todo: 'Repair it: missing and outdated documents are sent again; extra documents are deleted.',
    todoByApi: (sink: string) =>
      `Repair it by POST /api/v1/sinks/${sink}/verify with {"repair": true}: missing and outdated documents are sent again; extra documents are deleted.`,
    again: 'If it comes back, something else writes into this index.',
    over: (sink: string) => `The index of ${sink} is what it should be again`,
    took: (ms: number) => `It lasted ${duration(ms)}. The newest comparison found nothing or mended it, or the index was built anew.`,
  },

  /** Seen by who clicked alone. */
  clicks: {
    notAllowed: 'You may not do this: only the people named in ALLOWED_USERS may.',
    nothingLeft: {
      retry: 'Nothing left to do: none of this change is parked.',
      discard: 'Nothing left to do: none of this change is parked.',
      pause: 'Nothing left to do: this sink is paused already.',
      resume: 'Nothing left to do: this sink is not paused.',
      repair: 'Its index is being compared with the store already: if this message still stands afterwards, click again.',
    },
    failed: 'Something went wrong; try again in a minute.',
  },

  summary: {
    title: 'Summary of the day',
    changes: (count: number, channels: number) =>
      count === 0 ? 'No changes.' : `${changes(count)} on ${counted(channels, 'channel', 'channels')}.`,
    delivered: (count: number) => `${number(count)} delivered`,
    slowest: (ms: number) => `the slowest in ${duration(ms)}`,
    parked: (count: number) => `${number(count)} parked`,
    waiting: (count: number) => `${number(count)} waiting`,
    next: ', ',
    more: (count: number) => `… and ${counted(count, 'sink', 'sinks')} more`,
    phrase: (what: string, state: string) => `${what} ${state}`,
    well: 'Every sink has everything.',
    open: (parked: number, waiting: number) => `${number(parked)} parked, ${number(waiting)} waiting.`,
  },
};

export type Words = typeof en;
