import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '../support/fake-server.ts';
import { type FakeVendor, type VendorCall, type VendorChannel, fakeVendor } from '../support/fake-vendor.ts';
import { commands } from '../support/vendor.ts';
import type { Dice } from './dice.ts';
import { type StormWebhook, type Webhooks, someFields, stepMs } from './webhooks.ts';

/** A user who is subscribed to every channel. */
const everyone = 'everyone';
/** The shares of webhooks that never leave the vendor, and that are late, by how much at most. */
const [lostShare, lateShare, latestMs] = [0.05, 0.2, 15_000];
/** How often the API misbehaves. */
const misbehaviour = 0.1;
/** How far a server of the API may lag: a little less than the service reckons with. */
const lagMs = 9000;
const empty = { Name: '', FaceUrl: '', Introduction: '', Organization: '' };

/**
 * Channels at the vendor, a few at a time. What happens there is told by webhooks that may be late, repeated or lost, and by a REST API that may lag;
 * what a channel is like in the end is the truth.
 */
export class VendorWorld implements Webhooks {
  repeats = 0;
  outOfOrder = 0;
  lost = 0;
  /** What its API did wrong. Once it is quiet it does no more. */
  faults = 0;
  quiet = false;
  /** What each channel was like since when; `null` if there was none. */
  readonly #histories = new Map<string, { since: number; channel: VendorChannel | null }[]>();
  readonly #sent: StormWebhook[] = [];
  readonly #late: { webhook: StormWebhook; dueAt: number }[] = [];
  readonly #newest = new Map<string, number>();
  #events = 0;

  readonly #dice: Dice;
  readonly #channels: number;
  readonly #silentAfter: number;
  readonly #api: FakeVendor;

  private constructor(dice: Dice, channels: number, silentAfter: number, api: FakeVendor) {
    [this.#dice, this.#channels, this.#silentAfter, this.#api] = [dice, channels, silentAfter, api];
  }

  /**
   * @param silentAfter so many events until one channel falls silent and another begins
   * @param faults how the API misbehaves
   */
  static async begin(dice: Dice, channels: number, silentAfter: number, faults: Dice): Promise<VendorWorld> {
    const api = await fakeVendor();
    const world = new VendorWorld(dice, channels, silentAfter, api);
    api.fault = async call => {
      const other = await world.#misbehave(faults, call);
      const asOf = Date.now() - faults.below(lagMs);
      for (const id of call.ids) {
        const channel = world.channelAt(id, asOf);
        if (channel) api.channels.set(id, channel);
        else api.channels.delete(id);
      }
      api.subscribed.set(everyone, world.channelIds);
      return other;
    };
    return world;
  }

  /** The variables that make the service compare with it. */
  get environment(): Record<string, string> {
    return { ...this.#api.environment, [`APP_${this.#api.appId}_DISCOVER_AS`]: everyone };
  }

  /** When each call of the API came, by the monotonic clock. */
  get callTimes(): number[] {
    return this.#api.calls.map(({ at }) => at);
  }

  /** All that ever were. */
  get channelIds(): string[] {
    return [...this.#histories.keys()];
  }

  close(): Promise<void> {
    return this.#api.close();
  }

  /** What a channel is like, or was at a moment. */
  channelAt(id: string, at = Infinity): VendorChannel | null {
    return this.#histories.get(id)?.findLast(({ since }) => since <= at)?.channel ?? null;
  }

  /** All that a channel was like between two moments. */
  channelBetween(id: string, from: number, until: number): (VendorChannel | null)[] {
    const later = (this.#histories.get(id) ?? []).filter(({ since }) => since > from && since <= until);
    return [this.channelAt(id, from), ...later.map(({ channel }) => channel)];
  }

  /** The next webhook that is sent. */
  next(): StormWebhook {
    if (this.#sent.length > 0 && this.#dice.chance(0.1)) {
      this.repeats += 1;
      return this.#dice.pick(this.#sent);
    }
    const due = this.#late.findIndex(({ dueAt }) => dueAt <= Date.now());
    if (due >= 0) return this.#send(this.#late.splice(due, 1)[0]!.webhook);
    for (;;) {
      const webhook = this.#happens();
      if (this.#dice.chance(lostShare)) this.lost += 1;
      else if (this.#dice.chance(lateShare)) this.#late.push({ webhook, dueAt: Date.now() + this.#dice.below(latestMs) });
      else return this.#send(webhook);
    }
  }

  #send(webhook: StormWebhook): StormWebhook {
    const { Official_Account: id, EventTime } = webhook;
    const newest = this.#newest.get(id) ?? 0;
    if (EventTime < newest) this.outOfOrder += 1;
    this.#newest.set(id, Math.max(newest, EventTime));
    this.#sent.push(webhook);
    return webhook;
  }

  /** A channel begins, changes or ends. Of one that begins the webhook tells the name alone. */
  #happens(): StormWebhook {
    const [index, at] = [this.#events++, Date.now()];
    const id = `@TOA#_${Math.floor(index / this.#silentAfter) + this.#dice.below(this.#channels)}`;
    const before = this.channelAt(id);
    const created = before === null;
    const destroyed = !created && this.#dice.chance(0.04);
    const told = destroyed ? {} : { ...(created && { Name: `Name of ${index}` }), ...someFields(this.#dice) };
    const history = this.#histories.get(id) ?? [];
    history.push({ since: at, channel: destroyed ? null : { ...(before ?? empty), ...told } });
    this.#histories.set(id, history);
    const command = destroyed ? commands.destroyed : created ? commands.created : commands.changed;
    const carried = created ? { Name: told['Name'] } : told;
    return { CallbackCommand: command, Official_Account: id, EventTime: at - (at % stepMs), Operator_Account: `m${index}`, ...carried };
  }

  async #misbehave(faults: Dice, { ids }: VendorCall): Promise<Answer | number | undefined> {
    if (this.quiet || !faults.chance(misbehaviour)) return undefined;
    this.faults += 1;
    const refused = ids.length > 1 ? 130007 : 60008;
    const fault = faults.pick(['slow', 'reset', 'bad gateway', 'garbage', 60007, 60008, 70001, refused] as const);
    if (fault === 'slow') await sleep(faults.below(3000));
    if (fault === 'reset') throw new Error(fault);
    if (fault === 'bad gateway') return { status: 502, body: fault };
    if (fault === 'garbage') return { body: '<html>' };
    return typeof fault === 'number' ? fault : undefined;
  }
}
