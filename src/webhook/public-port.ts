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
import { commands, isOurs } from './commands.js';

/** For webhooks sent to a wrong path or cut off: the result alone says why they were lost. */
const unexplained = { cause: null, secondsAhead: null };

/** A request that has not arrived completely within this time is dropped. */
export const requestTimeoutMs = 10_000;

/** Configures everything on the public port except its routes. */
export async function configurePublic(app: NestExpressApplication): Promise<void> {
  const [settings, log] = [app.get(Settings), app.get(Log)];
  const express = app.getHttpAdapter().getInstance();
  express.disable('x-powered-by').disable('etag');
  // Nest has already created the router, so setting this through Express would have no effect.
  Object.assign(express.router, { caseSensitive: true });
  // No limit on parameters: by default those after the first 1000 are dropped, which could hide a second SdkAppid.
  express.set('query parser', (text: string) => parseQuery(text, '&', '=', { maxKeys: 0 }));
  app.use((_request: Request, response: Response, next: NextFunction) => {
    // While draining, close each connection with its response: closing an idle one could race with its next webhook.
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
  // Nest handles unknown routes only below the prefix; Express would answer all others with HTML.
  express.use((request: Request, response: Response) => filter.answer(Refusal.notFound(), request, response));
  express.use((error: unknown, request: Request, response: Response, _next: NextFunction) => filter.answer(error, request, response));
  const server = app.getHttpServer() as Server;
  guardSockets(server, {
    notFound: { type: 'application/json; charset=utf-8', body: JSON.stringify(Refusal.notFound().packet) },
    requestTimeoutMs,
    socketTimeoutMs: requestTimeoutMs,
    keepAliveTimeoutMs: 75_000,
    onError: error => log.error('connections cannot be accepted', { error: error.message }),
  });
  server.on('checkContinue', (request, response) => {
    // After a refusal the client may or may not send the body, so the connection cannot be reused.
    response.shouldKeepAlive = false;
    server.emit('request', request, response);
  });
}

/** Set in `response.locals` by the controller, pipe and filter. */
interface Answered {
  result?: WebhookResult;
  command?: string;
  changeId?: string;
  fault?: Refusal['fault'];
}

/** Counts, times and traces every answered webhook, and records rejected ones. */
function countWebhooks(metrics: Metrics, rejections: Rejections, events: EngineEvents, tracing: Tracing) {
  // Start every counter at zero: Prometheus sees no increase in a series that first appears with 1, so the first loss would not alert.
  for (const command of [...Object.keys(commands), 'other'])
    for (const result of webhookResults) metrics.webhooks.inc({ command, result }, 0);
  return (request: Request, response: Response, next: NextFunction): void => {
    const startedAt = performance.now();
    const address = request.socket.remoteAddress ?? 'unknown';
    // Cache the query: Express parses it again on every access.
    Object.defineProperty(request, 'query', { value: request.query });
    Object.assign(response.locals, { address });
    response.once('finish', () => {
      const { result, command: inBody, fault, changeId } = response.locals as Answered;
      const queryCommand = request.query['CallbackCommand'];
      const isAstray = response.statusCode === 404 && request.method === 'POST' && isOurs(queryCommand);
      if (isAstray) rejections.add({ result: 'not_found', path: request.path, address, ...unexplained });
      if (!result) return;
      const command = isOurs(queryCommand) ? queryCommand : (inBody ?? 'other');
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
