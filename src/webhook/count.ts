import type { NextFunction, Request, Response } from 'express';
import type { Metrics } from '../management/metrics.js';
import type { Refusal, WebhookResult } from './answer.js';
import type { Rejections } from './rejections.js';
import { isOurs } from './webhook.dto.js';

/** Counts and times every answered webhook, and tells of those that are lost; in `response.locals` the controller or the filter leave its result, the pipe its command. */
export function countWebhooks(metrics: Metrics, rejections: Rejections) {
  return (request: Request, response: Response, next: NextFunction): void => {
    const startedAt = performance.now();
    const address = request.socket.remoteAddress ?? 'unknown';
    // Express parses the query anew at every look.
    Object.defineProperty(request, 'query', { value: request.query });
    response.once('finish', () => {
      const { result, command, fault } = response.locals as { result?: WebhookResult; command?: string; fault?: Refusal['fault'] };
      if (!result) return;
      const told = request.query['CallbackCommand'];
      metrics.webhooks.inc({ command: isOurs(told) ? told : (command ?? 'other'), result });
      metrics.answerSeconds.observe((performance.now() - startedAt) / 1000);
      if (result === 'recorded' || result === 'repeat' || result === 'spooled') metrics.kept();
      if (fault) rejections.add({ result, address, ...fault });
    });
    next();
  };
}
