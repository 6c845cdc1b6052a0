import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CrmBody, CrmCatcher } from '../support/crm-catcher.ts';
import { type FakeVendor, fakeVendor } from '../support/fake-vendor.ts';
import { FakeSearch } from '../support/fake-search.ts';
import { type Target, commands, curlCommand } from '../support/vendor.ts';
import type { Link } from './page.ts';
import { routesOf } from './routes.ts';
import { Service, freePort } from './service.ts';
import { Site } from './site.ts';
import { type SlackWorkspace, openSlack } from './slack.ts';
import { type Clicked, SlackClient } from './slack-client.ts';
import type { Step } from './teller.ts';

/** What a log line and a CRM get told of a change (docs/crm.md). */
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
  /** The page to look at. */
  url: string;
  /** The pages that it leads to. */
  links: readonly Link[];
  /** A webhook to paste into a shell. */
  curl: string;
  /** A click on a button of a card, by way of the page. @returns what is shown to who clicked, as HTML */
  click(clicked: Clicked): Promise<string>;
  /** A GET of the management API, below `/api/v1/`; with a body a POST. */
  api<T>(path: string, body?: object): Promise<T>;
  /** How many webhooks were answered so far, by result. */
  answered(): Promise<Map<string, number>>;
  close(): Promise<void>;
}

const appId = '1400000001';

/** Puts everything up, the service last, and the CRM not at all; what is up already is taken down again if that fails. */
export async function openStage(over: AbortSignal, steps: readonly Step[]): Promise<Stage> {
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
    await crm.close();
    const search = await new FakeSearch().open();
    closers.push(() => search.close());
    const vendor = await fakeVendor(appId, randomBytes(32).toString('hex'));
    closers.push(() => vendor.close());
    // One after the other, so that none takes the place of the next.
    const [port, managementPort] = [await freePort(3000), await freePort(3001)];
    const site = await new Site(await freePort(3002)).open();
    closers.push(() => site.close());
    const slack = await openSlack(await freePort(3003));
    closers.push(() => slack.close());
    const client = new SlackClient(slack, site.origin);

    const managementToken = randomBytes(16).toString('hex');
    const target: Target = { url: `http://127.0.0.1:${port}/webhooks/tencent-chat`, appId, token: 'demo-token' };
    const management = `http://127.0.0.1:${managementPort}`;
    const links = [
      { name: 'The search index', url: `${site.origin}/search` },
      { name: 'What the CRM received', url: `${site.origin}/crm` },
      { name: 'API documentation', url: `${management}/docs`, hint: `authorize with ${managementToken}` },
      { name: 'Metrics', url: `${management}/metrics` },
      { name: "Slack's inspector", url: slack.inspectorUrl },
    ];
    const curl = curlCommand(target, {
      CallbackCommand: commands.changed,
      Official_Account: '@TOA#_my_channel',
      Operator_Account: 'me',
      Name: '我的频道',
      Introduction: 'Sent from my own terminal',
    });
    site.routes = routesOf({ service: `http://127.0.0.1:${port}`, target, crm, search, slack, client, links, curl, steps });
    const service = new Service(folder, {
      SDK_APP_IDS: appId,
      WEBHOOK_TOKENS: target.token,
      HOST: '127.0.0.1',
      PORT: String(port),
      MANAGEMENT_PORT: String(managementPort),
      MANAGEMENT_TOKEN: managementToken,
      PUBLIC_URL: management,
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
      SINK_SLACK_SIGNING_SECRET: slack.signingSecret,
      SINK_SLACK_API_URL: client.apiUrl,
      SINK_AUDIT_TYPE: 'log',
    });
    // Whatever way this process ends, neither the service nor the folder outlives it.
    process.once('exit', () => {
      service.kill();
      clear();
    });
    closers.push(
      () => crm.close(),
      () => service.stop(),
    );
    await service.ready(`${management}/readyz`, over);

    const get = async (path: string, body?: object) => {
      const response = await fetch(`${management}${path}`, {
        headers: { authorization: `Bearer ${managementToken}`, 'content-type': 'application/json' },
        ...(body && { method: 'POST', body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(10_000),
      });
      if (!response.ok) throw new Error(`${path} answered ${response.status} ${await response.text()}`);
      return response;
    };
    return {
      service,
      target,
      crm,
      vendor,
      search,
      slack,
      url: `${site.origin}/`,
      links,
      curl,
      click: async clicked => {
        const answer = await fetch(`${site.origin}/click`, { method: 'POST', body: JSON.stringify(clicked) });
        if (!answer.ok) throw new Error(`the click was answered ${answer.status}: ${await answer.text()}`);
        return ((await answer.json()) as { html: string }).html;
      },
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
