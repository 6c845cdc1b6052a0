import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CrmBody, CrmCatcher } from '../support/crm-catcher.ts';
import { type FakeVendor, fakeVendor } from '../support/fake-vendor.ts';
import { FakeSearch } from '../support/fake-search.ts';
import type { Target } from '../support/vendor.ts';
import { openCardsPage } from './cards-page.ts';
import { Service, freePort } from './service.ts';
import { type SlackWorkspace, openSlack } from './slack.ts';

/** What a log line and a CRM get told of a change (contract, section 3). */
export type ChangeEvent = CrmBody;

/** One item of the management API's list of changes; with its deliveries when asked for by id. */
export interface Change {
  id: string;
  channelId: string;
  type: string;
  revision: number | null;
  changes: { field: string; from: string | null; to: string | null }[];
  stale: string[];
  tie: boolean;
  deliveries: { sink: string; state: string; tries: number; reason: string | null }[];
}

export interface SinkAccounts {
  name: string;
  state: string;
  counts: { owed: number; pending: number; delivered: number; superseded: number; parked: number; discarded: number };
}

/** Everything that plays: the service, and round it a CRM, a search index and a Slack, all on loopback. */
export interface Stage {
  service: Service;
  target: Target;
  crm: CrmCatcher;
  /** The vendor's REST API. */
  vendor: FakeVendor;
  search: FakeSearch;
  slack: SlackWorkspace;
  urls: { cards: string; slack: string; search: string; docs: string; metrics: string };
  managementToken: string;
  /** A GET of the management API, below `/api/v1/`; with a body a POST. */
  api<T>(path: string, body?: object): Promise<T>;
  /** How many webhooks were answered so far, by result. */
  answered(): Promise<Map<string, number>>;
  close(): Promise<void>;
}

/** Puts everything up, the service last; what is up already is taken down again if that fails. */
export async function openStage(over: AbortSignal): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'channel-sync-demo-'));
  const clear = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  const closers: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
    clear();
  };
  try {
    const secret = `whsec_${randomBytes(32).toString('base64')}`;
    const crm = await new CrmCatcher(secret).open();
    closers.push(() => crm.close());
    const search = await new FakeSearch().open();
    closers.push(() => search.close());
    const vendor = await fakeVendor('1400000001', randomBytes(32).toString('hex'));
    closers.push(() => vendor.close());
    const slack = await openSlack(await freePort());
    closers.push(() => slack.close());
    const cards = await openCardsPage(slack.messages);
    closers.push(() => cards.close());

    const [port, managementPort, managementToken] = [await freePort(), await freePort(), randomBytes(16).toString('hex')];
    const target: Target = { url: `http://127.0.0.1:${port}/webhooks/tencent-chat`, appId: '1400000001', token: 'demo-token' };
    const management = `http://127.0.0.1:${managementPort}`;
    const service = new Service(folder, {
      SDK_APP_IDS: target.appId,
      WEBHOOK_TOKENS: target.token,
      HOST: '127.0.0.1',
      PORT: String(port),
      MANAGEMENT_PORT: String(managementPort),
      MANAGEMENT_TOKEN: managementToken,
      DATABASE_URL: `sqlite:${join(folder, 'channel-sync.db')}`,
      ...vendor.environment,
      SINK_CRM_TYPE: 'webhook',
      SINK_CRM_URL: crm.url,
      SINK_CRM_SECRETS: secret,
      SINK_SEARCH_TYPE: 'opensearch',
      SINK_SEARCH_URL: search.url,
      SINK_SLACK_TYPE: 'slack',
      SINK_SLACK_BOT_TOKEN: slack.botToken,
      SINK_SLACK_CHANNEL: slack.channelId,
      SINK_SLACK_API_URL: slack.apiUrl,
      SINK_AUDIT_TYPE: 'log',
    });
    // Whatever way this process ends, neither the service nor the folder outlives it.
    process.once('exit', () => {
      service.kill();
      clear();
    });
    closers.push(() => service.stop());
    await service.ready(`${management}/readyz`, over);

    const get = async (path: string, body?: object) => {
      const response = await fetch(`${management}${path}`, {
        headers: { authorization: `Bearer ${managementToken}`, 'content-type': 'application/json' },
        ...(body && { method: 'POST', body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(10_000),
      });
      if (!response.ok) throw new Error(`GET ${path} answered ${response.status} ${await response.text()}`);
      return response;
    };
    return {
      service,
      target,
      crm,
      vendor,
      search,
      slack,
      urls: {
        cards: cards.url,
        slack: slack.url,
        search: `${search.url}/official-channels/_search`,
        docs: `${management}/docs`,
        metrics: `${management}/metrics`,
      },
      managementToken,
      api: async <T>(path: string, body?: object) => (await (await get(`/api/v1/${path}`, body)).json()) as T,
      answered: async () => resultsOf(await (await get('/metrics')).text()),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function resultsOf(metrics: string): Map<string, number> {
  const results = new Map<string, number>();
  for (const [, result, count] of metrics.matchAll(/^channel_sync_webhooks_total\{.*result="(\w+)".*\} (\d+)$/gm)) {
    results.set(result!, (results.get(result!) ?? 0) + Number(count));
  }
  return results;
}
