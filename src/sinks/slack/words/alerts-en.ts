import { maxCounted } from '../../alert.js';
import { formatsOf } from '../card/formats.js';

const { number, counted, duration, list } = formatsOf('en');
const upToMost = (count: number, one: string, other: string) =>
  count > maxCounted ? `More than ${counted(maxCounted, one, other)}` : counted(count, one, other);

/** Texts of alerts and the daily summary in English; their type applies to every other language. */
export const alertsEn = {
  wrong: 'Error: ',
  wasWrong: 'Error was: ',
  todo: 'What to do: ',
  lasted: (ms: number) => `The problem lasted ${duration(ms)}.`,
  fallback: 'Posted here because ALERT_CHANNEL could not be posted to. For the next alerts, invite the bot there or correct that setting.',

  incident: {
    misconfigured: (sink: string) => `${sink} is stopped: check its settings`,
    retrying: (sink: string) => `A check of ${sink} failed`,
    down: (sink: string) => `${sink} is down`,
    paused: (sink: string) => `${sink} is paused`,
    over: (sink: string) => `${sink} has recovered`,
    goesOn: (sink: string) => `${sink} has been resumed`,
    waiting: (count: number) =>
      count === 0
        ? 'No changes are queued. New ones are kept and sent as soon as it recovers.'
        : `${upToMost(count, 'change is', 'changes are')} queued. Nothing is lost; they are sent as soon as it recovers.`,
    waitingPaused: (count: number) =>
      count === 0
        ? 'No changes are queued. New ones are kept and sent when someone resumes it.'
        : `${upToMost(count, 'change is', 'changes are')} queued and will be sent when someone resumes it.`,
    again: 'It recovered in between, but stopped again.',
    took: (ms: number) => `The problem lasted ${duration(ms)}. No change was lost.`,
    wasPaused: (ms: number) => `It was paused for ${duration(ms)}. No change was lost.`,
    left: (count: number) => `${upToMost(count, 'queued change is', 'queued changes are')} being sent.`,
    pausedBy: (who: string) => `Paused by ${who}.`,
    resumedBy: (who: string) => `Resumed by ${who}.`,
    failures: 'Latest errors',
  },

  /** The sink of an open alert was removed. */
  removed: {
    title: (sink: string) => `${sink} is no longer configured`,
    waiting: (count: number, sink: string, days: number) =>
      count === 0
        ? 'No changes are queued for it.'
        : `${upToMost(count, 'change is', 'changes are')} still queued, to be sent if ${sink} is configured again within ${counted(days, 'day', 'days')}.`,
    parked: (count: number, sink: string, days: number) =>
      `${upToMost(count, 'failed change is', 'failed changes are')} kept, to be retried if ${sink} is configured again within ${counted(days, 'day', 'days')}.`,
    index: 'Its index stays as it is.',
  },

  silence: {
    title: (ms: number) => `No webhook for more than ${duration(ms)}`,
    calm: 'Normal if no profile was edited. Otherwise: check in the Tencent Chat console that the webhook URL points here and that the official channel events are on.',
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
      unsigned: 'turn on authentication for webhooks in the Tencent Chat console, with the token in WEBHOOK_TOKENS.',
      clock: 'check the clock of this machine. If it is right, someone else is calling this URL; those requests are rejected.',
      signature:
        'compare WEBHOOK_TOKENS with the token in the Tencent Chat console. If they match, someone else is calling this URL; those requests are rejected.',
      too_large: 'raise WEBHOOK_BODY_LIMIT.',
      invalid: 'check what changes requests on their way here, such as a proxy.',
      unavailable: 'check the database and, with PostgreSQL, SPOOL_DIR; the log says what failed.',
    },
    over: 'No more webhooks are rejected',
    took: (count: number, ms: number) => `${counted(count, 'webhook was', 'webhooks were')} rejected in ${duration(ms)}.`,
  },

  parked: {
    title: (count: number, sink: string) => `${upToMost(count, 'change', 'changes')} could not be delivered to ${sink}`,
    latest: 'Latest error: ',
    decide: (buttons: boolean, cards: boolean) =>
      `None is lost. ${buttons ? 'Retry all of them here, or retry' : 'Retry'} or discard each one ${buttons && cards ? 'on its card or ' : ''}through the API.`,
    over: (sink: string) => `No failed changes left at ${sink}`,
  },

  differences: {
    title: (sink: string) => `Search index ${sink} is out of sync`,
    found: 'Latest comparison: ',
    list: (what: readonly string[]) => list(what),
    count: {
      missing: (count: number) => `${counted(count, 'document', 'documents')} missing`,
      older: (count: number) => `${number(count)} outdated`,
      newer: (count: number) => `${number(count)} newer than our data`,
      surplus: (count: number) => `${number(count)} extra`,
    },
    todo: 'Repair it: missing and outdated documents are sent again; extra documents are deleted.',
    todoByApi: (sink: string) =>
      `Repair it by POST /api/v1/sinks/${sink}/verify with {"repair": true}: missing and outdated documents are sent again; extra documents are deleted.`,
    again: 'If this keeps happening, something else is writing to this index.',
    over: (sink: string) => `Search index ${sink} is in sync again`,
  },

  vendor: {
    misconfigured: (app: string) => `App ${app} is not compared with Tencent: check its settings`,
    retrying: (app: string) => `Tencent's API fails for app ${app}`,
    harmless: 'Webhooks and sinks are not affected. Failed calls are retried automatically.',
    over: (app: string) => `Tencent's API works again for app ${app}`,
  },

  compared: {
    corrected: (count: number, of: number) =>
      `${number(count)} of ${counted(of, 'channel', 'channels')} differed from Tencent and ${count === 1 ? 'was' : 'were'} corrected`,
    imported: (count: number, of: number) => `${number(count)} of ${counted(of, 'channel', 'channels')} imported`,
    failed: (app: string) => `The comparison of app ${app} with Tencent failed`,
    counts: (app: string, destroyed: number, imported: number, failed: number) =>
      `App ${app}: ${number(destroyed)} destroyed, ${number(imported)} new, ${number(failed)} could not be compared.`,
    first: 'First of them: ',
  },

  summary: {
    title: 'Daily summary',
    changes: (count: number, channels: number) =>
      count === 0 ? 'No changes.' : `${counted(count, 'change', 'changes')} on ${counted(channels, 'channel', 'channels')}.`,
    delivered: (count: number) => `${number(count)} delivered`,
    slowest: (ms: number) => `slowest ${duration(ms)}`,
    parked: (count: number) => `${number(count)} failed`,
    waiting: (count: number) => `${number(count)} queued`,
    more: (count: number) => `… and ${counted(count, 'sink', 'sinks')} more`,
    phrase: (what: string, state: string) => `${what} ${state}`,
    well: 'All sinks up to date.',
    open: (parked: number, waiting: number) =>
      `${parked > 0 ? 'Needs attention: ' : ''}${number(parked)} failed, ${number(waiting)} queued.`,
  },
};
