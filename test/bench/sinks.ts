// Three CRM webhooks, each a plain server of its own that takes everything at once, or under /hang never answers; they also play just
// enough of Slack, with its limit, and OpenSearch for a service with every sink configured. Runs as a child process.
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FakeSearch } from '../support/fake-search.ts';
import { monotonicMs, numberIn } from './webhooks.ts';

export type Question = 'ports' | 'count' | 'watch' | 'arrivals';
/** Which webhook arrived at which sink, and when. */
export type Arrival = [sink: number, number: number, at: number];

/** What Slack was asked. `replies` are posts in threads, `refused` is what came too fast. */
export interface SlackCalls {
  posts: number;
  replies: number;
  edits: number;
  refused: number;
}

/** Slack takes a message per second and channel, and says no more of bursts than that they may be short. */
const slackBurst = 5;

let count = 0;
let watching = false;
let arrivals: Arrival[] = [];

function readAll(request: IncomingMessage, then: (text: string) => void): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => then(Buffer.concat(chunks).toString()));
}

function answerJson(response: ServerResponse, body: object): void {
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(body));
}

function crm(sink: number, request: IncomingMessage, response: ServerResponse): void {
  if (watching) {
    readAll(request, text => {
      const number = numberIn(text);
      if (number !== null) arrivals.push([sink, number, monotonicMs()]);
    });
  } else request.resume();
  request.on('end', () => {
    count++;
    response.end();
  });
}

const engine = new FakeSearch();

function search(request: IncomingMessage, response: ServerResponse): void {
  readAll(request, text => {
    const { status = 200, body } = engine.answer({ method: request.method ?? 'GET', path: request.url ?? '/', body: text });
    response.statusCode = status;
    answerJson(response, body as object);
  });
}

const slackCalls: SlackCalls = { posts: 0, replies: 0, edits: 0, refused: 0 };
/** When the calls that were taken so far are used up at one per second. */
let slackUsedUpAt = 0;

function slack(request: IncomingMessage, response: ServerResponse): void {
  readAll(request, text => {
    const now = monotonicMs();
    if (slackUsedUpAt > now + (slackBurst - 1) * 1000) {
      slackCalls.refused++;
      response.statusCode = 429;
      response.setHeader('Retry-After', '1');
      response.end();
      return;
    }
    slackUsedUpAt = Math.max(slackUsedUpAt, now) + 1000;
    slackCalls[request.url?.endsWith('chat.update') ? 'edits' : new URLSearchParams(text).has('thread_ts') ? 'replies' : 'posts']++;
    answerJson(response, { ok: true, channel: 'C0BENCH', ts: `${Date.now()}.000100`, message: {} });
  });
}

const servers: Server[] = [0, 1, 2].map(sink =>
  createServer((request, response) => {
    if (request.url?.startsWith('/hang')) request.resume();
    else if (request.url?.startsWith('/crm')) crm(sink, request, response);
    else if (request.url?.startsWith('/api/')) slack(request, response);
    else search(request, response);
  }).listen(0, '127.0.0.1'),
);

process.on('disconnect', () => process.exit());
process.on('message', (question: Question) => {
  if (question === 'watch') {
    watching = true;
    arrivals = [];
  }
  if (question === 'arrivals') watching = false;
  process.send?.({
    ports: servers.map(server => (server.address() as AddressInfo).port),
    count,
    slackCalls,
    arrivals: question === 'arrivals' ? arrivals : [],
  });
});
