import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';

const { READY, WEBHOOKS, APP } = process.env;
const tokens = '/etc/channel-sync/WEBHOOK_TOKENS';

/** @returns what went wrong, or nothing */
async function problem() {
  const ready = await fetch(READY);
  if (ready.status !== 200) return `${READY} answers ${ready.status}: ${await ready.text()}`;
  const query = new URLSearchParams({ SdkAppid: APP, CallbackCommand: 'Test.OfHelm' });
  if (existsSync(tokens)) {
    const time = String(Math.floor(Date.now() / 1000));
    const token = readFileSync(tokens, 'utf8').split(',')[0].trim();
    query.set('RequestTime', time);
    query.set('Sign', createHash('sha256').update(token + time).digest('hex'));
  }
  const answer = await fetch(`${WEBHOOKS}?${query}`, { method: 'POST', body: '{}' });
  const text = await answer.text();
  return answer.status === 200 ? undefined : `${WEBHOOKS} answers ${answer.status}: ${text}`;
}

let found;
for (const end = Date.now() + 30_000; Date.now() < end; await new Promise(resolve => setTimeout(resolve, 1000))) {
  found = await problem().catch(error => String(error.cause ?? error));
  if (!found) break;
}
console.log(found ?? 'ready, and a signed webhook is answered 200');
process.exit(found ? 1 : 0);
