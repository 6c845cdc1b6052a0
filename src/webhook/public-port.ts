import type { Server } from 'node:http';
import { parse as parseQuery } from 'node:querystring';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NextFunction, Request, Response } from 'express';
import { EngineEvents } from '../process/engine-events.js';
import { Log } from '../process/log.js';
import { Metrics } from '../management/metrics.js';
import { Readiness } from '../management/readiness.js';
import { interactionsPath } from './slack-interactions.controller.js';
import { Settings } from '../settings/settings.js';
import { guardSockets } from '../process/sockets.js';
import { Tracing } from '../process/tracing.js';
import { AnswerFilter, Refusal, type WebhookResult, webhookResults } from './answer.js';
import { Rejections } from './rejections.js';
import { commands, isOurs } from './webhook.dto.js';

/** Of a webhook that came to another path than WEBHOOK_PATH, or not whole: its result says all. */
const unexplained = { cause: null, secondsAhead: null };

/** What a webhook gets to arrive whole. */
export const requestMs = 10_000;

/** Everything about the public port that is not a route. */
export async function configurePublic(app: NestExpressApplication): Promise<void> {
  const [settings, log] = [app.get(Settings), app.get(Log)];
  const express = app.getHttpAdapter().getInstance();
  express.disable('x-powered-by').disable('etag');
  // Nest has made the router already: Express's own setting would come too late.
  Object.assign(express.router, { caseSensitive: true });
  // However many parameters there are: a second SdkAppid behind them must not go unseen.
  express.set('query parser', (text: string) => parseQuery(text, '&', '=', { maxKeys: 0 }));
  app.use((_request: Request, response: Response, next: NextFunction) => {
    // A kept-alive connection must not be closed just when its next webhook is under way.
    if (app.get(Readiness).closed === 'draining') response.shouldKeepAlive = false;
    next();
  });
  const rejections = app.get(Rejections);
  app.use(countWebhooks(app.get(Metrics), rejections, app.get(EngineEvents), app.get(Tracing)));
  const filter = new AnswerFilter(
    error => log.unexpected('unexpected error', error),
    ({ locals }) => rejections.add({ result: 'broken_off', address: String(locals['address']), ...unexplained }),
  );
  app.useGlobalFilters(filter);
  app.setGlobalPrefix(settings.WEBHOOK_PATH, { exclude: [interactionsPath] });
  await app.init();
  // Nest answers for what is missing below the prefix only; Express would answer the rest in HTML.
  express.use((request: Request, response: Response) => filter.answer(Refusal.notFound(), request, response));
  express.use((error: unknown, request: Request, response: Response, _next: NextFunction) => filter.answer(error, request, response));
  const server = app.getHttpServer() as Server;
  guardSockets(server, {
    notFound: { type: 'application/json; charset=utf-8', body: JSON.stringify(Refusal.notFound().packet) },
    requestMs,
    silenceMs: requestMs,
    keptAliveMs: 75_000,
    onError: error => log.error('connections cannot be accepted', { error: error.message }),
  });
  server.on('checkContinue', (request, response) => {
    // Whether a body follows a refusal is up to the sender: the connection cannot be used again.
    response.shouldKeepAlive = false;
    server.emit('request', request, response);
  });
}

/** What controller, pipe and filter leave in `response.locals`. */
interface Answered {
  result?: WebhookResult;
  command?: string;
  changeId?: string;
  fault?: Refusal['fault'];
}

/** Counts, times and traces every answered webhook, and tells of those that are lost; in `response.locals` the controller or the filter leave its result, the pipe its command. */
function countWebhooks(metrics: Metrics, rejections: Rejections, events: EngineEvents, tracing: Tracing) {
  // From zero on: what appears with its first count is no increase to Prometheus, so the first webhook that is lost would raise no alert.
  for (const command of [...Object.keys(commands), 'other'])
    for (const result of webhookResults) metrics.webhooks.inc({ command, result }, 0);
  return (request: Request, response: Response, next: NextFunction): void => {
    const startedAt = performance.now();
    const address = request.socket.remoteAddress ?? 'unknown';
    // Express parses the query anew at every look.
    Object.defineProperty(request, 'query', { value: request.query });
    Object.assign(response.locals, { address });
    response.once('finish', () => {
      const { result, command: inBody, fault, changeId } = response.locals as Answered;
      const asked = request.query['CallbackCommand'];
      const isAstray = response.statusCode === 404 && request.method === 'POST' && isOurs(asked);
      if (isAstray) rejections.add({ result: 'not_found', address, ...unexplained });
      if (!result) return;
      const command = isOurs(asked) ? asked : (inBody ?? 'other');
      const durationMs = performance.now() - startedAt;
      metrics.webhooks.inc({ command, result });
      metrics.answerSeconds.observe(durationMs / 1000);
      tracing.webhook({ changeId, durationMs, command, result, status: response.statusCode });
      if (fault) rejections.add({ result, address, ...fault });
      const { SdkAppid: app } = request.query;
      const lost = result === 'unavailable' || result === 'too_large' || result === 'invalid' || result === 'unauthorized';
      if (lost && typeof app === 'string') events.emit('rejected', app, result);
    });
    next();
  };
}
