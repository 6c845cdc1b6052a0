import type { CrmCatcher } from '../support/crm-catcher.ts';
import type { FakeSearch } from '../support/fake-search.ts';
import { type Target, commands, sendWebhook } from '../support/vendor.ts';
import { drawBlocks, drawMessages, escape } from './blocks.ts';
import { type Link, crmPage, drawStory, landingPage, searchPage } from './page.ts';
import type { Routes } from './site.ts';
import type { SlackWorkspace } from './slack.ts';
import type { Clicked, Shown, SlackClient } from './slack-client.ts';
import type { Step } from './teller.ts';

/** What the pages show, and what is clicked on them leads to. */
interface Shows {
  /** The public port of the service. */
  service: string;
  target: Target;
  crm: CrmCatcher;
  search: FakeSearch;
  slack: SlackWorkspace;
  client: SlackClient;
  links: readonly Link[];
  curl: string;
  steps: readonly Step[];
}

/** The demo's pages, what keeps them up to date, and what is posted from them and by the service. */
export function routesOf({ service, target, crm, search, slack, client, links, curl, steps }: Shows): Routes {
  const documents = () => [...search.documents('official-channels').values()].map(({ source }) => source);
  return {
    pages: {
      '/': nonce => landingPage(nonce, links, curl),
      '/search': nonce => searchPage(nonce, documents(), `${search.url}/official-channels/_search`),
      '/crm': nonce => crmPage(nonce, crm.events),
    },
    json: { '/live': async () => ({ story: drawStory(steps), cards: drawMessages(await slack.messages()) }) },
    posts: {
      '/slack/api/': async (method, body, { headers }) => {
        const { authorization = '', 'content-type': type = '' } = headers;
        return client.api(method, { authorization, 'content-type': type }, body);
      },
      '/slack/said/': async (trigger, body) => {
        client.said(trigger, body);
        return { body: '' };
      },
      '/click': async (_, body) => {
        const shown = await client.click(service, JSON.parse(body) as Clicked);
        return { body: JSON.stringify({ html: shown ? drawShown(shown) : '' }) };
      },
      '/send': async (_, body) => {
        const { channel = '', name = '' } = JSON.parse(body) as Record<string, string>;
        const webhook = {
          CallbackCommand: commands.changed,
          Official_Account: channel,
          Operator_Account: 'you',
          Name: name,
          EventTime: Date.now(),
        };
        const { status, body: answer } = await sendWebhook(target, webhook);
        return { body: JSON.stringify({ html: status === 200 ? '' : escape(`It was answered ${status}: ${answer.ErrorInfo}`) }) };
      },
      '/crm': async (_, body) => {
        const status = Number((JSON.parse(body) as { answers: string }).answers);
        crm.failing = status === 204 ? null : { status, error: 'you told me to' };
        return { body: '{}' };
      },
    },
  };
}

function drawShown(shown: Shown): string {
  if ('said' in shown) return escape(shown.said);
  return `<h2>${escape(shown.view.title.text)}</h2>${drawBlocks(shown.view.blocks)}`;
}
