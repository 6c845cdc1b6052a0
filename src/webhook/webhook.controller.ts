import { Controller, type ExecutionContext, Get, HttpCode, Post, Res, UseGuards, createParamDecorator } from '@nestjs/common';
import type { Request, Response } from 'express';
import { WebhookIntake } from '../intake/intake.js';
import type { InboundWebhook } from '../channel/inbound-webhook.js';
import { type AnswerPacket, type WebhookResult, okPacket } from './answer.js';
import { SdkAppIdGuard, SignatureGuard } from './guards.js';
import { WebhookPipe } from './webhook.pipe.js';

const Incoming = createParamDecorator((_: unknown, context: ExecutionContext) => context.switchToHttp().getRequest<Request>());

/** Receives the vendor's webhooks on WEBHOOK_PATH. */
@Controller()
export class WebhookController {
  constructor(private readonly intake: WebhookIntake) {}

  /** The pipe reads the body, after the guards. 200 means stored, or ignored because we do not handle its command. The filter turns errors into other answers. */
  @Post()
  @HttpCode(200)
  @UseGuards(SdkAppIdGuard, SignatureGuard)
  async receive(
    @Incoming(WebhookPipe) webhook: InboundWebhook | null,
    @Res({ passthrough: true }) response: Response,
  ): Promise<AnswerPacket> {
    const result: WebhookResult = webhook === null ? 'ignored' : await this.intake.keep(webhook);
    Object.assign(response.locals, { result, changeId: webhook?.id });
    return okPacket;
  }

  /** For probes by the vendor's console and load balancers. */
  @Get()
  probe(): AnswerPacket {
    return okPacket;
  }
}
