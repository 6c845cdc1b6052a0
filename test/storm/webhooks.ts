import { commands } from '../support/vendor.ts';
import type { Dice } from './dice.ts';

/** A webhook's body, as the vendor would send it. Its operator tells it from every other, so that none repeats another by chance. */
export interface StormWebhook {
  CallbackCommand: string;
  Official_Account: string;
  EventTime: number;
  Operator_Account: string;
  [field: string]: unknown;
}

const fields = ['Name', 'FaceUrl', 'Introduction', 'Organization'];
/** Few times, so that ties are common; short, so that what is late is common, too. */
const spreadMs = 20_000;
export const stepMs = 50;

/** Some of the fields, each with a text; now and then it is cleared. */
export function someFields(dice: Dice): Record<string, string> {
  const told: Record<string, string> = {};
  for (const field of fields) if (dice.chance(0.5)) told[field] = dice.chance(0.05) ? '' : `${field} ${dice.below(1000)}`;
  return told;
}

/** Where webhooks come from. */
export interface Webhooks {
  next(): StormWebhook;
  readonly repeats: number;
  readonly outOfOrder: number;
}

/** Webhooks in no order, of a few channels at a time: changes for the most part, some of them exact repeats, some created and destroyed. */
export class WebhookSource implements Webhooks {
  readonly #sent: StormWebhook[] = [];
  #newest = new Map<string, number>();
  repeats = 0;
  outOfOrder = 0;

  readonly #dice: Dice;
  readonly #channels: number;
  readonly #now: () => number;
  readonly #silentAfter: number;

  /** @param silentAfter so many webhooks until one channel falls silent and another begins: what a sink lacks of a last change no later one makes good */
  constructor(dice: Dice, channels: number, now: () => number, silentAfter = Infinity) {
    [this.#dice, this.#channels, this.#now, this.#silentAfter] = [dice, channels, now, silentAfter];
  }

  next(): StormWebhook {
    if (this.#sent.length > 0 && this.#dice.chance(0.1)) {
      this.repeats += 1;
      return this.#dice.pick(this.#sent);
    }
    const channel = `@TOA#_${Math.floor(this.#sent.length / this.#silentAfter) + this.#dice.below(this.#channels)}`;
    const at = this.#now();
    const kind = this.#dice.next();
    const webhook: StormWebhook = {
      CallbackCommand: kind < 0.04 ? commands.destroyed : kind < 0.08 ? commands.created : commands.changed,
      Official_Account: channel,
      EventTime: at - (at % stepMs) - (this.#dice.chance(0.3) ? this.#dice.below(spreadMs / stepMs) * stepMs : 0),
      Operator_Account: `m${this.#sent.length}`,
    };
    Object.assign(webhook, someFields(this.#dice));
    if (webhook.EventTime < (this.#newest.get(channel) ?? 0)) this.outOfOrder += 1;
    this.#newest.set(channel, Math.max(this.#newest.get(channel) ?? 0, webhook.EventTime));
    this.#sent.push(webhook);
    return webhook;
  }
}
