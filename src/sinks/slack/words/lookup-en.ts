import { maxCounted } from '../../alert.js';
import { formatsOf } from '../card/formats.js';

const { number, counted, duration, list } = formatsOf('en');
const upToMost = (count: number) => (count > maxCounted ? `more than ${number(maxCounted)}` : number(count));

/** Texts of Home, Details and the slash command in English; their type applies to every other language. */
export const lookupEn = {
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
  quoted: (text: string) => `“${text}”`,
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
    more: (count: number, what: readonly string[]) => `… and ${number(count)} more: ${list(what)}`,
    well: 'All sinks up to date',
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
    title: 'Details',
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
    cut: 'Shortened: the API has all of it.',
    gone: 'This change is no longer kept.',
  },
  home: {
    find: 'Find a channel',
    placeholder: 'Part of its name or id',
    refresh: 'Refresh',
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
};
