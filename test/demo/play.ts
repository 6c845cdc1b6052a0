import { type WebhookBody, commands, sendWebhook } from '../support/vendor.ts';
import { type SlackMessage, linesOf } from './slack.ts';
import type { Change, ChangeEvent, SinkAccounts, Stage } from './stage.ts';
import { type Teller, differences, matches, patienceMs, printable, same, shown } from './teller.ts';

const channel = '@TOA#_cloud_tea_house';
const channelQuery = `changes?channelId=${encodeURIComponent(channel)}`;
/** What a step's webhook should lead to. */
interface Expected {
  type: string;
  revision: number;
  changes: Change['changes'];
  /** The whole profile afterwards. */
  profile: Record<string, string | null>;
}

/** The moves of the story: the vendor sends, and what every sink got of it is checked and told. */
export class Play {
  readonly #stage: Stage;
  readonly #teller: Teller;
  /** When the newest webhook of the story happened, and as which second of it. */
  #newest = { time: 0, second: 0 };
  #last!: WebhookBody;
  /** How many cards were in Slack when the last webhook was sent. */
  #cardsBefore = 0;
  /** The newest external version of the search document. */
  #version = 0;

  constructor(stage: Stage, teller: Teller) {
    this.#stage = stage;
    this.#teller = teller;
  }

  /** Sends a webhook that happens now, or if its second is an earlier one, just before the newest. */
  async send(command: keyof typeof commands, second: number, fields: Record<string, string>): Promise<void> {
    const time = second > this.#newest.second ? Date.now() : this.#newest.time - 1;
    if (second > this.#newest.second) this.#newest = { time, second };
    const operator = command === 'destroyed' ? { Owner_Account: 'u1001' } : { Operator_Account: 'administrator' };
    this.#last = { CallbackCommand: commands[command], Official_Account: channel, ...operator, ...fields, EventTime: time };
    this.#cardsBefore = (await this.#cards()).length;
    const what = Object.entries(fields).map(([field, value]) => `${field} = ${shown(value)}`);
    this.#teller.say('vendor', `${command} at ${new Date(time).toLocaleTimeString('en-GB')}: ${what.join(', ')}`);
    await this.#sendLast('kept');
  }

  async #sendLast(outcome: string): Promise<void> {
    await this.#teller.check('answer', async () => {
      const { status, body, ms } = await sendWebhook(this.#stage.target, this.#last);
      matches('the answer', { status: 200, ActionStatus: 'OK', ErrorCode: 0 }, { status, ...body });
      return `200 OK in ${ms.toFixed(0)} ms: ${outcome}`;
    });
  }

  /** The last webhook reaches every sink; the CRM at that try. */
  async reaches(expected: Expected, crmTries = 1): Promise<void> {
    const cardName = expected.profile.name ?? expected.changes[0]!.from!;
    await this.#searchHas(expected);
    await this.#logHas(expected);
    await this.#crmHas(expected, crmTries);
    await this.#cardSays(/All sinks up to date/, crmTries > 1 ? 'the same card, edited' : 'a card', cardName);
  }

  #searchHas({ type, revision, profile }: Expected): Promise<void> {
    const { search, target } = this.#stage;
    return this.#teller.check('search', async () => {
      const { source, version } = await this.#teller.until(`revision ${revision} in the search index`, () => {
        const found = search.documents('official-channels').get(`${target.appId}:${channel}`);
        return found?.source.revision === revision && found;
      });
      const deleted = type === 'channel.destroyed';
      matches('the document', { ...profile, deleted }, source);
      same(`a version above ${this.#version}`, true, version > this.#version);
      this.#version = version;
      const name = deleted ? 'deleted: true' : `name: ${shown(profile.name!)}`;
      return `document at revision ${revision}, ${name}, external version ${version}`;
    });
  }

  #logHas({ type, revision, changes }: Expected): Promise<void> {
    return this.#teller.check('audit', async () => {
      const event = await this.#teller.until(`revision ${revision} in the log`, () =>
        this.#stage.service.log
          .filter(({ msg, sink }) => msg === 'channel change' && sink === 'audit')
          .map(line => line.event as ChangeEvent)
          .find(({ data }) => data.revision === revision),
      );
      matches("the line's event", { type, changes }, { ...event, ...event.data });
      return `a line on standard output: ${type}, revision ${revision}`;
    });
  }

  #crmEvent(revision: number) {
    return this.#stage.crm.events.find(({ body }) => body.data.channelId === channel && body.data.revision === revision);
  }

  #crmHas({ type, revision, changes, profile }: Expected, tries: number): Promise<void> {
    return this.#teller.check('crm', async () => {
      const event = await this.#teller.until(`revision ${revision} at the CRM`, () => this.#crmEvent(revision));
      matches('the event', { type, changes, profile, tries }, { ...event.body, ...event.body.data, ...event });
      const times = this.#stage.crm.requests.filter(({ id }) => id === event.id).map(({ at }) => at);
      const waits = times.slice(1).map((time, index) => `${((time - times[index]!) / 1000).toFixed(1)} s`);
      const retried = tries === 1 ? '' : `, sent again after ${waits.join(' and ')} with the same webhook-id`;
      return `${type}, revision ${revision}, signature valid${retried}\n${' '.repeat(13)}${differences(changes)}`;
    });
  }

  /** The card of the last webhook comes to say that. A name on it is text, whatever it looks like. */
  #cardSays(pattern: RegExp, told: string, name = ''): Promise<void> {
    return this.#teller.check('slack', async () => {
      const card = await this.#teller.until(`a card that says ${pattern}`, () => this.#lastCard(pattern));
      const lines = linesOf(card);
      same(
        `a line with the name ${shown(name)}`,
        true,
        lines.some(line => line.includes(name)),
      );
      same('live mentions in its text', null, /<!(?!date)|<@/.exec(card.text));
      return `${told}: ${lines
        .filter(line => pattern.test(line) || /^\S+ (crm|search|audit) /.test(line))
        .map(printable)
        .join(' · ')}`;
    });
  }

  /** The vendor has this of the channel now; what it does not say is not carried. Its API answers once it is let. */
  async hold(fields: Record<string, string>): Promise<() => Promise<void>> {
    const { vendor } = this.#stage;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    vendor.channels.set(channel, fields);
    vendor.fault = () => promise;
    return async () => {
      this.#cardsBefore = (await this.#cards()).length;
      resolve(undefined);
      vendor.fault = null;
    };
  }

  /** A person compares the channels with the vendor. */
  async compares(fields: Record<string, string>): Promise<void> {
    const { vendor } = this.#stage;
    vendor.channels.set(channel, fields);
    this.#cardsBefore = (await this.#cards()).length;
    await this.#teller.check('record', async () => {
      const { id } = await this.#stage.api<{ id: string }>('comparisons', { channelIds: [channel] });
      const done = await this.#teller.until('the end of the comparison', async () => {
        const found = await this.#stage.api<{ state: string; corrected: number }>(`comparisons/${id}`);
        return found.state === 'done' && found;
      });
      matches('the comparison', { corrected: 1, failed: 0 }, done);
      return 'POST /api/v1/comparisons: 1 channel differed from Tencent and was corrected';
    });
  }

  /** An alert in Slack comes to say that. */
  alertSays(pattern: RegExp, told: string): Promise<void> {
    return this.#teller.check('slack', async () => {
      const line = await this.#teller.until(`an alert that says ${pattern}`, async () =>
        (await this.#stage.slack.messages()).map(message => linesOf(message).join(' · ')).find(text => pattern.test(text)),
      );
      return `${told}: ${printable(line)}`;
    });
  }

  /** While the CRM still fails, no other sink waits for it. */
  crmIsBehind(revision: number): Promise<void> {
    return this.#teller.check('crm', async () => {
      await this.#teller.until('the card that says so', () => this.#lastCard(/crm.* retrying/));
      same('what the CRM has meanwhile', undefined, this.#crmEvent(revision));
      return 'down: it has nothing yet, and its card says that it is retried';
    });
  }

  /** The last webhook is parked at the CRM. Retry is pressed by who looks, in the end by us; who did is on record. */
  async isParked(alone: boolean): Promise<void> {
    await this.#cardSays(/crm.* failed/, 'a card with Retry and Discard');
    await this.#teller.check('crm', async () => {
      const { changeId: id, reason } = await this.#teller.until('a parked delivery', () => this.#parked());
      const isReplayed = async () => (await this.#parked()) === undefined;
      if (!alone)
        this.#teller.say(
          'you',
          `press Retry on the card at ${this.#stage.url} (or wait ${patienceMs / 1000} s, and it is pressed for you)`,
        );
      const byHand = !alone && (await this.#teller.isSoon(isReplayed));
      const { ts } = await this.#teller.until('its card', () => this.#lastCard(/./));
      if (!byHand) await this.#stage.click({ ts, action: 'retry', value: `slack:${id}` });
      await this.#teller.until('a replay', isReplayed);
      const { items } = await this.#stage.api<{ items: { action: string; actor: string }[] }>('audit?limit=1');
      matches('the latest entry of the audit', { action: 'replay', actor: 'slack:U0DEMO' }, items[0]);
      return `parked: ${reason}. Retry was pressed${byHand ? ' by you' : ''}, which the audit says`;
    });
  }

  async #parked() {
    const path = 'deliveries?sink=crm&state=parked&limit=1';
    return (await this.#stage.api<{ items: { changeId: string; reason: string }[] }>(path)).items[0];
  }

  /** Newest first, without alerts, which may come before the card of the same change. */
  async #cards(): Promise<SlackMessage[]> {
    return (await this.#stage.slack.messages()).filter(({ metadata }) => metadata?.event_payload['delivery_id'] !== undefined);
  }

  /** The card of the last webhook, if a line of it says that. */
  async #lastCard(pattern: RegExp): Promise<SlackMessage | undefined> {
    const cards = await this.#cards();
    const card = cards.slice(0, cards.length - this.#cardsBefore).at(-1);
    return card && linesOf(card).some(line => pattern.test(line)) ? card : undefined;
  }

  /** The last webhook altered nothing: it is on record as stale, Slack says why, and nobody else hears of it. */
  async isStale(field: string): Promise<void> {
    await this.#teller.check('record', async () => {
      const { items } = await this.#stage.api<{ items: Change[] }>(`${channelQuery}&limit=1`);
      matches('the newest change', { revision: null, stale: [field] }, items[0]);
      const { deliveries } = await this.#stage.api<Change>(`changes/${items[0]!.id}`);
      same('the sinks that get it', 'slack', deliveries.map(({ sink }) => sink).join());
      return `kept without a revision, ${field} is stale: CRM, search index and log do not hear of it`;
    });
    await this.#cardSays(/Ignored: older than the current profile/, 'a card');
  }

  async repeatLast(): Promise<void> {
    const repeats = async () => (await this.#stage.answered()).get('repeat') ?? 0;
    const kept = async () => (await this.#stage.api<{ items: Change[] }>(channelQuery)).items.length;
    const before = { repeats: await repeats(), kept: await kept() };
    this.#teller.say('vendor', 'the same once more');
    await this.#sendLast('known already');
    await this.#teller.check('record', async () => {
      same(
        'repeats and changes on record',
        { repeats: before.repeats + 1, kept: before.kept },
        { repeats: await repeats(), kept: await kept() },
      );
      return `still ${before.kept} changes on record, and one repeat in the metrics`;
    });
  }

  /** Nothing is owed any more, nothing was lost. */
  async balances(owed: Record<string, number>): Promise<void> {
    for (const [sink, expected] of Object.entries(owed)) {
      await this.#teller.check(sink, async () => {
        const { state, counts } = await this.#teller.until(`${sink} to be owed nothing`, async () => {
          const found = (await this.#stage.api<{ items: SinkAccounts[] }>('sinks')).items.find(({ name }) => name === sink);
          return found?.counts.pending === 0 && found;
        });
        matches('the accounts', { state: 'ok', owed: expected, parked: 0, discarded: 0 }, { state, ...counts });
        same('delivered + superseded', expected, counts.delivered + counts.superseded);
        return `${expected} owed, ${counts.delivered} delivered${counts.superseded ? `, ${counts.superseded} superseded` : ''}, nothing pending, nothing parked`;
      });
    }
  }
}
