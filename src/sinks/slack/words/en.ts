import { changeTexts } from '../../../explanations/changes.js';
import { maxCounted } from '../../alert.js';
import type { SinkResult } from '../../report-sink.js';
import { formatsOf } from '../card/formats.js';
import { alertsEn } from './alerts-en.js';

const formats = formatsOf('en');
const { number, counted, duration, list } = formats;
const upToMost = (count: number) => (count > maxCounted ? `more than ${number(maxCounted)}` : number(count));
const texts = changeTexts.en;

/** Texts of our messages in English; their type applies to every other language. */
export const en = {
  ...texts,
  formats,
  ...alertsEn,
  api: 'the API',
  someone: 'someone in Slack',
  since: (time: string) => `Since ${time}`,
  sentences: (first: string, second: string) => `${first}. ${second}`,

  card: {
    notification: (name: string, id: string, effect: string) => `${name} (${id}): ${effect}`,
    noName: '(no name)',
    blank: '(blank)',
    avatar: 'Avatar',
    formerAvatar: 'old picture',
    newAvatar: 'new picture',
    alike: ' (they differ only in hidden or shortened characters)',
    inThread: ' (full text in the thread)',
    by: (who: string) => `by ${who}`,
    byNobody: 'operator unknown',
    app: (app: string) => `app ${app}`,
    revision: (revision: number) => `revision ${number(revision)}`,
    test: 'This is a test: nothing has changed.',
    before: (name: string) => `${name} before`,
    now: (name: string) => `${name} now`,
    inFull: 'Full text',
    cut: 'Shortened; see the API.',
  },

  results: {
    ...texts.results,
    count: (count: number, which: SinkResult['state']) =>
      `${number(count)} ${which === 'superseded' ? 'skipped' : texts.results.state[which]}`,
    folded: (count: number, what: readonly string[]) => `… and ${number(count)} more: ${list(what)}`,
    waiting: (open: number, all: number) => `Waiting for ${number(open)} of ${counted(all, 'sink', 'sinks')}`,
    all: 'All sinks up to date',
    attention: (what: readonly string[]) => `Needs attention: ${what.join(', ')}`,
    finished: (what: readonly string[]) => `Finished: ${what.join(', ')}`,
    fixed: 'Fixed ',
    replay: (who: string) => `Retried by ${who}, `,
    discard: (who: string) => `Discarded by ${who}, `,
    actionsBefore: (count: number) => `… and ${counted(count, 'earlier action', 'earlier actions')}`,
  },

  buttons: {
    retry: 'Retry',
    retryAll: 'Retry all',
    discard: 'Discard',
    probe: 'Retry now',
    pause: 'Pause',
    resume: 'Resume',
    repair: 'Repair',
    compareNow: 'Compare now',
    details: 'Details',
    refresh: 'Refresh',
  },
  confirm: {
    retryAll: {
      title: 'Retry all failed changes?',
      text: 'Every change that could not be delivered to this sink is sent once more. Fix the cause first, or they fail again.',
    },
    discard: {
      title: 'Discard this change?',
      text: 'It will not be sent to the sinks where it failed. You can still replay it through the API.',
    },
    pause: {
      title: 'Pause this sink?',
      text: 'Nothing is sent to it until someone resumes it. Changes are queued meanwhile; none is lost.',
    },
    compareNow: {
      title: 'Compare all channels with Tencent?',
      text: 'All channels of this app are read from Tencent, and what differs is corrected. Webhooks and sinks do not wait for it.',
    },
    repair: {
      title: 'Repair this search index?',
      text: 'Missing and outdated documents are sent again; extra documents are deleted.',
    },
  },
  cancel: 'Cancel',

  digest: {
    title: (count: number) => `${counted(count, 'change', 'changes')} delivered to all sinks`,
    notification: (title: string, names: readonly string[], isAll: boolean) => `${title}: ${names.join(', ')}${isAll ? '' : ' …'}`,
    more: (count: number, inThread: boolean) => `… and ${number(count)} more${inThread ? ': all in the thread' : ''}`,
    next: '; ',
    part: (part: number, of: number) => `Part ${number(part)} of ${number(of)}`,
    rest: (count: number) => `… and ${number(count)} more; see the API`,
  },

  /** Ephemeral messages to the user who clicked. */
  clicks: {
    notAllowed: "You don't have permission. Ask an admin to add you to ALLOWED_USERS.",
    nothingLeft: {
      retry: 'Nothing to do: this change has no failed deliveries.',
      retryAll: 'Nothing to do: this sink has no failed changes.',
      discard: 'Nothing to do: this change has no failed deliveries.',
      probe: 'Nothing to do: this sink is not stopped.',
      pause: 'Nothing to do: this sink is already paused.',
      resume: 'Nothing to do: this sink is not paused.',
      compareNow: 'This app is not compared with Tencent.',
      repair: 'This index is being compared right now. If this alert is still open afterwards, click again.',
    },
    failed: 'Something went wrong; try again in a minute.',
  },

  /** Home, Details and the slash command. */
  lookup: {
    help: {
      title: 'What you can ask',
      usage: [
        ['status', 'how each sink is doing'],
        ['find tea', 'channels with this in their name or id'],
        ['channel @TOA#_tea', 'one channel: its profile, and whether each sink has it'],
        ['failed', 'changes that could not be delivered'],
        ['help', 'this list'],
      ],
    },
    sinks: {
      state: {
        ok: 'up to date',
        retrying: 'retrying',
        misconfigured: 'stopped: check its settings',
        down: 'down',
        paused: 'paused',
      },
      delivering: 'delivering',
      queued: (count: number, lagMs: number) => `${upToMost(count)} queued, the oldest for ${duration(lagMs)}`,
      failed: (count: number) => `${upToMost(count)} failed`,
      busy: 'All sinks are working',
      attention: (sinks: number) => `${counted(sinks, 'sink needs', 'sinks need')} attention`,
    },
    latest: 'Latest changes',
    failed: 'Failed changes',
    noneFailed: 'No failed changes',
    moreFailed: 'Only the latest are shown.',
    found: (what: string) => `Channels that match ${what}`,
    noneFound: (what: string) => `No channel matches ${what}`,
    noChannel: (what: string) => `No channel has the id ${what}`,
    giveText: (usage: string) => `Say what to look for: ${usage}`,
    more: (count: number) => `… and ${number(count)} more`,
    destroyed: 'destroyed',
    updated: 'updated ',
    details: {
      close: 'Close',
      page: 'Open as a page (this link is good for one hour)',
      origin: {
        platform: (value: string) => `platform ${value}`,
        clientIp: (value: string) => `from ${value}`,
        owner: (value: string) => `channel owned by ${value}`,
      },
      happened: 'Changed ',
      received: ', received ',
      earlier: (count: number) => `… ${counted(count, 'earlier attempt', 'earlier attempts')}`,
      gone: 'This change is no longer kept.',
    },
    home: {
      find: 'Find a channel',
      placeholder: 'Part of its name or id',
      asOf: (time: string) => `As of ${time}`,
      first: [
        'Nothing has arrived yet.',
        'Each change of a channel appears here, and as a card in the Slack channel of this app: what changed, by whom, and whether every sink has it.',
        'If nothing comes, check in the Tencent Chat console that the webhook URL points to this service and that the official channel events are on.',
      ],
      done: {
        retry: (_: string, count: number) => `Sent again: ${counted(count, 'delivery', 'deliveries')}`,
        retryAll: (sink: string, count: number) => `Sent again to ${sink}: ${counted(count, 'delivery', 'deliveries')}`,
        discard: (_: string, count: number) => `Discarded: ${counted(count, 'delivery', 'deliveries')}`,
        probe: (sink: string) => `Trying ${sink} now`,
        pause: (sink: string) => `Paused: ${sink}`,
        resume: (sink: string) => `Resumed: ${sink}`,
        compareNow: (app: string) => `Comparing the channels of app ${app} with Tencent`,
        repair: (sink: string) => `Repairing the index of ${sink}`,
      },
    },
  },
};

export type Words = typeof en;
