import { type AddressInfo, type Socket, createConnection } from 'node:net';
import { Controller, Get } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Request, Response } from 'express';
import { send } from '../../test/support/service.js';
import { until } from '../../test/support/until.ts';
import type { InteractionHandler } from '../sinks/report-sink.js';
import { AnswerFilter, Refusal, okPacket } from './answer.js';
import { InteractionHandlers, SlackInteractionsController, interactionsPath } from './slack-interactions.controller.js';

/** A sink that accepts and records requests signed with its secret. */
class Signed {
  readonly taken: string[] = [];
  readonly handler: InteractionHandler = {
    accepts: headers => /^(one|other|none)$/.test(String(headers['x-slack-signature'])),
    handle: (body, headers) => {
      if (headers['x-slack-signature'] !== this.secret) return null;
      this.taken.push(body.toString());
      return Promise.resolve(body.toString() === 'challenge' ? '<b>back</b>' : body.toString() === 'command' ? { text: 'ü' } : '');
    },
  };
  constructor(private readonly secret: string) {}
}

@Controller()
class Webhooks {
  @Get()
  probe(): object {
    return okPacket;
  }
}

describe.each(['/webhooks/tencent-chat', '/', '/slack'])('POST /slack/interactions beside WEBHOOK_PATH %s', webhookPath => {
  let app: NestExpressApplication;
  let url: string;
  const [one, other] = [new Signed('one'), new Signed('other')];
  const withoutButtons = {};
  let open: object[] = [];
  beforeAll(async () => {
    // Same set-up as in `configurePublic`.
    const module = {
      module: class {},
      controllers: [Webhooks, SlackInteractionsController],
      providers: [
        {
          provide: InteractionHandlers,
          useValue: {
            get interactionHandlers() {
              return open.flatMap(sink => ('handler' in sink ? [sink.handler] : []));
            },
          },
        },
      ],
    };
    app = await NestFactory.create<NestExpressApplication>(module, { bodyParser: false, abortOnError: false, logger: false });
    const filter = new AnswerFilter(
      () => undefined,
      () => undefined,
    );
    app.useGlobalFilters(filter);
    app.setGlobalPrefix(webhookPath, { exclude: [interactionsPath] });
    await app.init();
    const express = app.getHttpAdapter().getInstance();
    express.use((request: Request, response: Response) => filter.answer(Refusal.notFound(), request, response));
    await app.listen(0, '127.0.0.1');
    url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`;
  });
  beforeEach(() => {
    open = [withoutButtons, one, other];
  });
  afterEach(() => {
    for (const sink of [one, other]) sink.taken.length = 0;
  });
  afterAll(() => app.close());

  const path = `/${interactionsPath}`;
  const click = (body: string | Uint8Array, headers: Record<string, string> = {}, at = path) =>
    send('POST', url + at, body, { 'content-type': 'application/x-www-form-urlencoded', 'x-slack-signature': 'other', ...headers });
  const notFound = expect.stringContaining('"ErrorCode":120006') as string;

  it('hands the body as it is to the first sink that it is signed for', async () => {
    const body = 'payload=%7B%22a%22%3A+"ü"%7D&x';
    expect(await click(body)).toMatchObject({ status: 200, text: '' });
    expect(await click('payload=1', {}, `${path}/`)).toMatchObject({ status: 200, text: '' });
    expect([one.taken, other.taken]).toEqual([[], [body, 'payload=1']]);
  });

  // Fails if every sink with the secret handles the click, instead of the first only.
  it('is done once, however many sinks share a secret', async () => {
    const twin = new Signed('one');
    open = [one, twin];
    expect(await click('payload=1', { 'x-slack-signature': 'one' })).toMatchObject({ status: 200, text: '' });
    expect([one.taken, twin.taken]).toEqual([['payload=1'], []]);
  });

  it('answers what a sink answers, as plain text', async () => {
    const answer = await click('challenge');
    expect(answer).toMatchObject({ status: 200, text: '<b>back</b>' });
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
  });

  it('answers a command with JSON', async () => {
    const answer = await click('command');
    expect([answer.status, answer.headers['content-type'], answer.text]).toEqual([200, 'application/json; charset=utf-8', '{"text":"ü"}']);
  });

  it('reads 1 MB and no more', async () => {
    expect((await click('a'.repeat(1024 * 1024))).status).toBe(200);
    const refused = await click('a'.repeat(1024 * 1024 + 1));
    expect(refused).toMatchObject({ status: 401, text: '', headers: { connection: 'close' } });
    expect(other.taken.map(body => body.length)).toEqual([1024 * 1024]);
  });

  it('is 401 for what is signed for no sink', async () => {
    expect(await click('payload=1', { 'x-slack-signature': 'none' })).toMatchObject({
      status: 401,
      text: '',
      headers: { connection: 'close' },
    });
  });

  /** Opens a connection and sends only this head; returns the answer so far and whether the connection was closed. */
  const connect = (head: string): { answer: () => string; closed: () => boolean; socket: Socket } => {
    const socket = createConnection((app.getHttpServer().address() as AddressInfo).port, '127.0.0.1');
    let answer = '';
    let closed = false;
    socket.on('data', chunk => (answer += chunk.toString())).on('error', () => {});
    socket.on('close', () => (closed = true));
    socket.write(`POST ${path} HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`);
    return { answer: () => answer, closed: () => closed, socket };
  };

  it('answers 401 before any of the body is there, and closes, to what cannot be of Slack', async () => {
    const heads = [
      ['another signature', 'X-Slack-Signature: wrong\r\nContent-Length: 9'],
      ['no signature', 'Content-Length: 9'],
      ['a repeated signature', 'X-Slack-Signature: one\r\nX-Slack-Signature: one\r\nContent-Length: 9'],
      ['no length', 'X-Slack-Signature: one'],
      ['a body in chunks', 'X-Slack-Signature: one\r\nTransfer-Encoding: chunked'],
      ['a length over 1 MB', 'X-Slack-Signature: one\r\nContent-Length: 1048577'],
      ['a packed body', 'X-Slack-Signature: one\r\nContent-Length: 9\r\nContent-Encoding: gzip'],
      ['an encoding that is none', 'X-Slack-Signature: one\r\nContent-Length: 9\r\nContent-Encoding: identity'],
    ] as const;
    const asked = heads.map(([what, head]) => ({ what, ...connect(head) }));
    for (const { what, answer, closed } of asked) {
      await until(closed, `the end of the connection with ${what}`, 4000);
      expect([what, answer()]).toEqual([what, expect.stringMatching(/^HTTP\/1\.1 401 Unauthorized\r\n/)]);
    }
    expect(one.taken).toEqual([]);
  });

  it('lets whoever stalls make room: what is on its way is bounded, and whole bodies come through', async () => {
    const bytes = 900_000;
    const stalled = Array.from({ length: 24 }, () => connect(`X-Slack-Signature: one\r\nContent-Length: 1000000`));
    for (const { socket } of stalled) socket.write('a'.repeat(bytes));
    const open = () => stalled.filter(({ closed }) => !closed());
    await until(() => open().length * bytes <= 8 * 1024 * 1024 && open().every(({ socket }) => socket.writableLength === 0), 'room');
    expect(open().length).toBeGreaterThan(0);
    expect(await click('payload=1')).toMatchObject({ status: 200 });
    for (const { socket } of stalled) socket.destroy();
  });

  it.each(['GET', 'HEAD', 'PUT', 'DELETE'])('%s is 404 as everywhere', async method => {
    const answer = await send(method, url + path);
    expect(answer).toMatchObject({ status: 404, text: method === 'HEAD' ? '' : notFound });
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  });

  // Fails without the exclusion from the global prefix: the path then exists below WEBHOOK_PATH only.
  it('is nowhere else', async () => {
    const [below] = [`${webhookPath}/${interactionsPath}`.replace('//', '/')];
    for (const at of [`${path}/x`, '/interactions', `/x${path}`, ...(below === path ? [] : [below])])
      expect(await click('payload=1', {}, at)).toMatchObject({ status: 404, text: notFound });
    expect(await send('GET', url + webhookPath)).toMatchObject({ status: 200, text: JSON.stringify(okPacket) });
  });

  it('is 404 as well while no sink takes clicks here', async () => {
    open = [withoutButtons];
    expect(await click('payload=1')).toMatchObject({ status: 404, text: notFound });
  });
});
