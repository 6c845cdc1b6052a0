import { Injectable, type PipeTransform, ValidationPipe } from '@nestjs/common';
import type { Request } from 'express';
import { v7 as uuid } from 'uuid';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import { SharedClock } from '../process/clock.js';
import { Settings } from '../settings/settings.js';
import { Refusal } from './answer.js';
import { BodyBudget } from './body-budget.js';
import { parseBody, readBody } from './body.js';
import { isOurs } from './commands.js';
import { WebhookDto, inboundWebhookOf, knownKeys } from './webhook.dto.js';

/** Reads and validates the webhook of a request; `null` if we do not handle its command. */
@Injectable()
export class WebhookPipe implements PipeTransform<Request, Promise<InboundWebhook | null>> {
  /** Keeps ids from the same millisecond in order of arrival. */
  private sequence = 0;
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
    const queryCommand = request.query['CallbackCommand'];
    const inQuery = typeof queryCommand === 'string' && queryCommand !== '' ? queryCommand : null;
    if (inQuery !== null && !isOurs(inQuery)) return null;
    // Not earlier: a refused client need not send its body.
    if (request.httpVersion === '1.1' && /^100-continue$/i.test(request.headers.expect ?? '')) request.res!.writeContinue();
    await this.budget.enter(request, this.settings.WEBHOOK_BODY_LIMIT);
    const body = await readBody(request, this.settings.WEBHOOK_BODY_LIMIT);
    const at = this.clock.now();
    // By default the library never goes back in time, even if the clock was set back.
    const arrival = { id: uuid({ msecs: at, seq: this.sequence++ }), at, body };
    if (Array.isArray(queryCommand)) throw Refusal.invalid('CallbackCommand is repeated in the query');
    if (inQuery === null && body.length === 0) return null;
    const parsed = parseBody(body);
    const { CallbackCommand: inBody } = parsed;
    const isAbsent = inBody === undefined || inBody === null || inBody === '';
    if (inQuery !== null && !isAbsent && inBody !== inQuery) throw Refusal.invalid('CallbackCommand of query and body differ');
    const command = inQuery ?? inBody;
    if (!isOurs(command)) return null;
    Object.assign(request.res!.locals, { command });
    // Without unknown keys and nested values, since class-transformer would overflow the stack on a deeply nested body.
    const picked: Record<string, unknown> = { CallbackCommand: command };
    for (const key of knownKeys) picked[key] = flat(parsed[key]);
    const dto = (await this.validation.transform(picked, { type: 'body', metatype: WebhookDto })) as WebhookDto;
    return inboundWebhookOf(dto, request.query, arrival);
  }
}

/** Nested values are invalid in every field, whatever they hold. */
function flat(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? {} : value;
}
