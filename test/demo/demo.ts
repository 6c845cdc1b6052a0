import '../support/node-version.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Change, type Stage, openStage } from './stage.ts';
import { playStory } from './story.ts';
import { Teller, differences, paint, printable, same } from './teller.ts';

const help = `npm run demo [-- --once]

Starts channel-sync with a throw-away database and, on loopback, a vendor that signs and sends, a CRM, a search
index and a Slack to look at in the browser. Plays a short story and checks what every sink got of it, then stays
up for webhooks of your own. Needs no account, no server and no network.

  --once   end after the story; exit 0 only if all of it came true
  --help   this text`;

const options = process.argv.slice(2);
if (options.some(option => option !== '--once')) {
  console.log(help);
  process.exit(options.includes('--help') ? 0 : 2);
}
process.exit(await run(options.includes('--once')));

async function run(once: boolean): Promise<number> {
  /** Aborted by Ctrl-C, or by the end of the service: then the reason is an error. */
  const over = new AbortController();
  const interrupted = Symbol('interrupted');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // The second time nothing is waited for.
    process.on(signal, () => (over.signal.aborted ? process.exit(1) : over.abort(interrupted)));
  }
  const teller = new Teller(over.signal);
  console.log(paint('dim', 'Starting channel-sync with a CRM, a search index and a Slack around it, all on loopback …'));
  let stage: Stage | undefined;
  try {
    stage = await openStage(over.signal, teller.steps);
    const { service } = stage;
    void service.exit.then(how => over.abort(new Error(`The service ended by itself (${how}):\n${service.complaints()}`)));
    tellUrls(stage);
    await playStory(stage, teller, once);
    await checkPages(stage, teller);
    if (!once) {
      tellScore(teller);
      tellUrls(stage);
      console.log(`   Send a webhook from the page, or paste this into another terminal; Ctrl-C ends the demo.\n\n${stage.curl}\n`);
      await follow(stage, over.signal);
    }
  } catch (error) {
    const reason: unknown = over.signal.aborted ? over.signal.reason : error;
    if (reason !== interrupted) teller.fail('demo', reason);
    else if (once) teller.fail('demo', new Error('interrupted'));
  }
  if (stage) {
    console.log(paint('dim', '\nEnding the service …'));
    await stage.close();
  }
  tellScore(teller);
  return teller.failed === 0 ? 0 : 1;
}

function tellScore({ passed, failed }: Teller): void {
  console.log(paint(failed === 0 ? 'green' : 'red', `${passed} passed, ${failed} failed`));
}

function tellUrls({ url, links }: Stage): void {
  const rest = links.map(({ name, url: to, hint }) => `   ${name.padEnd(19)} ${to}${hint ? `   (${hint})` : ''}`).join('\n');
  console.log(`\n   ${paint('bold', 'Open in a browser'.padEnd(19))} ${paint('cyan', url)}\n${paint('dim', rest)}\n`);
}

/** What is linked is served, and the first page shows the story and its cards. */
async function checkPages({ url, links }: Stage, teller: Teller): Promise<void> {
  teller.step('Open it in a browser', 'The page with the story and the cards, and those that it links to, are up.');
  const pages = [url, ...links.map(link => link.url), `${url}avatars/cup.svg`];
  await teller.check('pages', async () => {
    for (const page of pages) same(page, 200, (await fetch(page, { signal: AbortSignal.timeout(10_000) })).status);
    const live = (await (await fetch(`${url}live`)).json()) as { story: string; cards: string };
    same('the steps of the story', teller.steps.length, live.story.split('<ul class="claims">').length - 1);
    same(
      'an avatar and a button on the cards',
      true,
      live.cards.includes('<img src="/avatars/cup.svg"') && live.cards.includes('data-action="details"'),
    );
    return `${pages.length} are served at ${url}`;
  });
}

/** Tells what becomes of every further webhook, until it is over. */
async function follow(stage: Stage, signal: AbortSignal): Promise<void> {
  const latest = async () => (await stage.api<{ items: Change[] }>('changes?limit=100')).items.reverse();
  const seen = new Set((await latest()).map(({ id }) => id));
  const open = new Map<string, string>();
  let answered = await stage.answered();
  for (;;) {
    await sleep(200, undefined, { signal });
    for (const change of await latest()) {
      if (seen.has(change.id)) continue;
      seen.add(change.id);
      open.set(change.id, '');
      tellChange(change);
    }
    for (const [id, told] of open) {
      const { deliveries } = await stage.api<Change>(`changes/${id}`);
      const fate = deliveries.map(fateOf).join(' · ');
      if (fate !== told) console.log(`  ${shortId(id)}  ${fate}`);
      if (deliveries.every(({ state }) => state !== 'pending')) open.delete(id);
      else open.set(id, fate);
    }
    const now = await stage.answered();
    for (const [result, count] of now) {
      if (result !== 'recorded' && count > (answered.get(result) ?? 0))
        console.log(`${paint('yellow', '→')} a webhook was answered: ${result}. Nothing new is recorded.`);
    }
    answered = now;
  }
}

function fateOf({ sink, state, tries, reason }: Change['deliveries'][number]): string {
  const how = [tries > 1 && `${tries} tries`, state !== 'delivered' && reason].filter(Boolean).join(', ');
  return `${sink} ${state}${how && ` (${how})`}`;
}

/** Enough of an id to tell which change a line belongs to. */
function shortId(id: string): string {
  return paint('dim', id.slice(-4));
}

function tellChange({ id, channelId, type, revision, changes, stale, tie }: Change): void {
  const lost = stale.length > 0 ? `, ${tie ? 'another of the same time counts' : 'older than what is known'}: ${stale.join(', ')}` : '';
  const what = revision === null ? `altered nothing${lost}` : `${type}, revision ${revision}${lost}  ${differences(changes)}`;
  console.log(`${paint('cyan', '→')} ${shortId(id)}  ${printable(channelId)}  ${what}`);
}
