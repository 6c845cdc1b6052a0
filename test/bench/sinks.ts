// Three CRM webhooks, each a plain server of its own that takes everything at once, or under /hang never answers; they also play just
// enough of Slack and OpenSearch for a service with every sink configured. Runs as a child process.
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FakeSearch } from '../support/fake-search.ts';
import { monotonicMs, numberIn } from './webhooks.ts';

export type Question = 'ports' | 'count' | 'watch' | 'arrivals';
/** Which webhook arrived at which sink, and when. */
export type Arrival = [sink: number, number: number, at: number];

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

function slack(request: IncomingMessage, response: ServerResponse): void {
  readAll(request, () => answerJson(response, { ok: true, channel: 'C0BENCH', ts: `${Date.now()}.000100`, message: {} }));
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
    arrivals: question === 'arrivals' ? arrivals : [],
  });
});
