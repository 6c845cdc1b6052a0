import { Injectable, type PipeTransform, ValidationPipe } from '@nestjs/common';
import type { Request } from 'express';
import { v7 as uuid } from 'uuid';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import { SharedClock } from '../process/clock.js';
import { Settings } from '../settings/settings.js';
import { Refusal } from './answer.js';
import { BodyBudget } from './body-budget.js';
import { parseBody, readBody } from './body.js';
import { WebhookDto, inboundWebhookOf, isOurs, knownKeys } from './webhook.dto.js';

/**
 * Makes a webhook of a request: reads the body, agrees on the command, picks the keys that we know and only then lets the DTO be built
 * and validated (class-transformer would overflow the stack on a deeply nested body). `null` is a webhook that is not ours.
 */
@Injectable()
export class WebhookPipe implements PipeTransform<Request, Promise<InboundWebhook | null>> {
  /** Keeps ids of one millisecond in the order of arrival. */
  private arrived = 0;
  private readonly validation = new ValidationPipe({
    transform: true,
    exceptionFactory: errors => Refusal.invalid(errors.flatMap(({ constraints }) => Object.values(constraints ?? {})).join('; ')),
  });

  constructor(
    private readonly settings: Settings,
    private readonly clock: SharedClock,
    private readonly budget: BodyBudget,
  ) {}

  /** @throws Refusal */
  async transform(request: Request): Promise<InboundWebhook | null> {
    const asked = request.query['CallbackCommand'];
    const inQuery = typeof asked === 'string' && asked !== '' ? asked : null;
    if (inQuery !== null && !isOurs(inQuery)) return null;
    // Only now: who is refused need not send a body.
    if (request.httpVersion === '1.1' && /^100-continue$/i.test(request.headers.expect ?? '')) request.res!.writeContinue();
    await this.budget.enter(request, this.settings.WEBHOOK_BODY_LIMIT);
    const body = await readBody(request, this.settings.WEBHOOK_BODY_LIMIT);
    const at = this.clock.now();
    // By itself the library would stay with the latest time that it has seen, also when the clock is put back.
    const arrival = { id: uuid({ msecs: at, seq: this.arrived++ }), at, body };
    if (Array.isArray(asked)) throw Refusal.invalid('CallbackCommand is repeated in the query');
    if (inQuery === null && body.length === 0) return null;
    const parsed = parseBody(body);
    const inBody = Object.hasOwn(parsed, 'CallbackCommand') ? parsed['CallbackCommand'] : undefined;
    const silent = inBody === undefined || inBody === null || inBody === '';
    if (inQuery !== null && !silent && inBody !== inQuery) throw Refusal.invalid('CallbackCommand of query and body differ');
    const command = inQuery ?? inBody;
    if (!isOurs(command)) return null;
    Object.assign(request.res!.locals, { command });
    const picked: Record<string, unknown> = { CallbackCommand: command };
    for (const key of knownKeys) if (Object.hasOwn(parsed, key)) picked[key] = flat(parsed[key]);
    const dto = (await this.validation.transform(picked, { type: 'body', metatype: WebhookDto })) as WebhookDto;
    return inboundWebhookOf(dto, request.query, arrival);
  }
}

/** A nested value is wrong wherever we look; without its depth nothing downstream can overflow on it. */
function flat(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? {} : value;
}
