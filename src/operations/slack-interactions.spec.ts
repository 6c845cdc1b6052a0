import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { Controller, Get } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Request, Response } from 'express';
import { send } from '../../test/support/service.js';
import type { ReportSink } from '../sinks/sink.js';
import { AnswerFilter, Refusal, okPacket } from '../webhook/answer.js';
import { ReportSinks, SlackInteractionsController, interactionsPath } from './slack-interactions.controller.js';

/** A sink that takes what carries its secret, and remembers it. */
class Signed {
  readonly taken: string[] = [];
  constructor(private readonly secret: string) {}
  interact(body: string, headers: Readonly<Record<string, unknown>>): boolean {
    if (headers['x-slack-signature'] !== this.secret) return false;
    this.taken.push(body);
    return true;
  }
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
    // As `configurePublic` does it.
    const module = {
      module: class {},
      controllers: [Webhooks, SlackInteractionsController],
      providers: [{ provide: ReportSinks, useValue: { all: () => open as ReportSink[] } }],
    };
    app = await NestFactory.create<NestExpressApplication>(module, { bodyParser: false, abortOnError: false, logger: false });
    const filter = new AnswerFilter(() => undefined);
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

  // Planted: with a `forEach` instead of `some` a click was done once for each sink of the same app.
  it('is done once, however many sinks share a secret', async () => {
    const twin = new Signed('one');
    open = [one, twin];
    expect(await click('payload=1', { 'x-slack-signature': 'one' })).toMatchObject({ status: 200, text: '' });
    expect([one.taken, twin.taken]).toEqual([['payload=1'], []]);
  });

  it.each([
    ['a wrong signature', { 'x-slack-signature': 'wrong' }],
    ['no signature', { 'x-slack-signature': '' }],
  ])('with %s is 401', async (_, headers) => expect(await click('payload=1', headers)).toMatchObject({ status: 401, text: '' }));

  it('reads 256 kB and no more, and takes no other encoding than there is', async () => {
    expect((await click('a'.repeat(256 * 1024))).status).toBe(200);
    expect(await click('a'.repeat(256 * 1024 + 1))).toMatchObject({ status: 401, text: '' });
    expect((await click(gzipSync('payload=2'), { 'content-encoding': 'gzip' })).status).toBe(200);
    expect((await click(gzipSync('a'.repeat(300_000)), { 'content-encoding': 'gzip' })).status).toBe(401);
    expect((await click('payload=1', { 'content-encoding': 'rot13' })).status).toBe(401);
    expect(other.taken.map(body => body.length)).toEqual([256 * 1024, 9]);
  });

  it.each(['GET', 'HEAD', 'PUT', 'DELETE'])('%s is 404 as everywhere', async method => {
    const answer = await send(method, url + path);
    expect(answer).toMatchObject({ status: 404, text: method === 'HEAD' ? '' : notFound });
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  });

  // Planted: without the exclusion it was found below WEBHOOK_PATH only.
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
