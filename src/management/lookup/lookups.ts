import { Injectable } from '@nestjs/common';
import { sql } from 'kysely';
import { wellFormed } from '../../channel/origin.js';
import { recordAction } from '../../database/audit.js';
import { Database } from '../../database/database.js';
import { SharedClock } from '../../process/clock.js';
import { Settings } from '../../settings/settings.js';
import { countUpToMax } from '../../reports/counting.js';
import { resultsOf } from '../../reports/results.js';
import type { Filters } from '../../sinks/filters.js';
import { Lookups } from '../../sinks/lookup.js';
import type { ChangeDetails, ChannelOverview, FailedChange, Lookup, SinkOverview } from '../../sinks/lookup.js';
import type { ListedChannelDto } from '../api/channels/channel.dto.js';
import { countChannels, findChannel, findChannels } from '../api/channels/channels.queries.js';
import { findWebhook } from '../api/changes/changes.queries.js';
import { attemptsOf } from '../api/deliveries/deliveries.queries.js';
import { sinkStates, stateDetailsOf } from '../api/sinks/sinks.queries.js';
import { linkTo } from '../page/key.js';
import { latestChanges, neighbours, wantedChanges } from './changes.js';

/** How many of the latest failed changes of each sink are searched. */
const maxFailedSearched = 100;
const neighboursShown = 5;
/** Sinks that need attention come first. */
const urgency: readonly SinkOverview['state'][] = ['misconfigured', 'down', 'paused', 'retrying', 'ok'];

/** Answers lookups of people in Slack from the database. */
@Injectable()
export class StoredLookups extends Lookups {
  constructor(
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly settings: Settings,
  ) {
    super();
  }

  within(filters: Filters): Lookup {
    const { database } = this;
    return {
      sinks: () => this.sinks(),
      latestChanges: max => latestChanges(database, filters, max),
      failedChanges: max => this.failedChanges(filters, max),
      findChannels: async (query, max) => {
        const selection = { query: wellFormed(query), ...filters };
        const { items, next } = await findChannels(database, selection, max, null);
        return { channels: items.map(shown), more: next ? (await countChannels(database, selection)) - items.length : 0 };
      },
      channel: async channelId => {
        const found = await findChannels(database, { channelId: wellFormed(channelId), ...filters }, 20, null);
        return Promise.all(found.items.map(item => this.channel(item, filters)));
      },
      change: changeId => this.change(changeId, filters),
      link: (changeId, language, actor) => this.link(changeId, language, actor),
    };
  }

  private async sinks(): Promise<SinkOverview[]> {
    const { database } = this;
    const all: SinkOverview[] = [];
    const countsOf = await countUpToMax(database.kysely);
    for (const sink of await sinkStates(database, this.clock.now())) {
      const { id, name, state, lagSeconds } = sink;
      if (state === 'removed') continue;
      const { reason, advice } = await stateDetailsOf(database, sink);
      const { queued, failed } = countsOf(id);
      all.push({ sink: name, state, reason, advice, lagMs: (lagSeconds ?? 0) * 1000, queued, failed });
    }
    const rank = ({ state, failed }: SinkOverview): number => urgency.indexOf(state) - (state === 'ok' && failed > 0 ? 0.5 : 0);
    return all.sort((one, other) => rank(one) - rank(other) || (one.sink < other.sink ? -1 : 1));
  }

  private async failedChanges(filters: Filters, max: number): Promise<FailedChange[]> {
    const { database } = this;
    const parked = database.kysely.selectFrom('delivery').where('delivery.state', '=', sql.lit('parked'));
    const ids = new Set<string>();
    for (const { id } of await database.kysely.selectFrom('sink').select('id').where('removed_at', 'is', null).execute()) {
      // Query by sink, because the index orders the changes of one sink, not of all.
      const latest = parked.select('change_id').where('sink', '=', id).orderBy('change_id', 'desc').limit(maxFailedSearched);
      for (const { change_id } of await latest.execute()) ids.add(change_id);
    }
    const found = [...ids].sort().map(id => ({ id }));
    const changes = await wantedChanges(database, found.reverse(), filters, max);
    const changeIds = changes.map(({ event }) => event.data.changeId);
    const failures = await parked
      .innerJoin('sink', 'sink.id', 'delivery.sink')
      .select(['change_id', 'sink.name', 'delivery.reason'])
      .where(database.isAmong('change_id', changeIds))
      .orderBy('sink.name')
      .execute();
    return changes.map(change => ({
      ...change,
      failures: failures
        .filter(({ change_id }) => change_id === change.event.data.changeId)
        .map(({ name, reason }) => ({ sink: name, reason: reason ?? '' })),
    }));
  }

  private async channel(item: ListedChannelDto, filters: Filters): Promise<ChannelOverview> {
    const { database } = this;
    const { sdkAppId, channelId } = item;
    const channel = (await findChannel(database, sdkAppId, channelId))!;
    const latest = await database.kysely
      .selectFrom('change')
      .innerJoin('channel', 'channel.id', 'change.channel')
      .select('change.id')
      .where('sdk_app_id', '=', sdkAppId)
      .where('channel_id', '=', channelId)
      .orderBy('change.position', 'desc')
      .limit(2 * neighboursShown)
      .execute();
    return {
      ...shown(item),
      revision: channel.revision,
      profile: channel.profile,
      sinks: channel.sinks.filter(({ mode }) => mode !== 'report').map(({ sink, state, lastError }) => ({ sink, state, error: lastError })),
      latest: await wantedChanges(database, latest, filters, neighboursShown),
    };
  }

  private async change(changeId: string, filters: Filters): Promise<ChangeDetails | null> {
    const { database } = this;
    const [change] = await wantedChanges(database, [{ id: changeId }], filters, 1);
    if (!change) return null;
    const webhook = await findWebhook(database, changeId);
    return {
      ...change,
      webhook: webhook && Buffer.from(webhook).toString(),
      deliveries: await this.deliveries(changeId),
      ...(await neighbours(database, changeId, filters, neighboursShown)),
    };
  }

  /** The deliveries of a change to every sink except report sinks, with their attempts, oldest first. */
  private async deliveries(changeId: string): Promise<ChangeDetails['deliveries']> {
    const { database } = this;
    const results = await database.kysely.transaction().execute(trx => resultsOf(database, trx, [changeId]));
    const attempts = (await attemptsOf(database, changeId)).filter(({ mode }) => mode !== 'report');
    const bySink = Map.groupBy(attempts, ({ name }) => name);
    return (results.get(changeId) ?? []).map(result => ({ ...result, attempts: bySink.get(result.sink) ?? [] }));
  }

  private async link(changeId: string, language: string, actor: string): Promise<string | null> {
    const { PUBLIC_URL: url, MANAGEMENT_TOKEN: token } = this.settings;
    if (url === undefined || token === undefined) return null;
    const now = this.clock.now();
    await recordAction(this.database.kysely, { at: now, actor }, 'link', {}, changeId);
    return linkTo(url, changeId, language, token, now);
  }
}

function shown({ sdkAppId, channelId, name, exists, updatedAt }: ListedChannelDto) {
  return { sdkAppId, channelId, name, exists, updatedAt: updatedAt && updatedAt.getTime() };
}
