import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { Clock } from '../process/clock.js';
import { Settings } from '../settings/settings.js';
import { Refusal } from './answer.js';
import { signatureFault } from './signature.js';

/** Lets in webhooks that know a token, if tokens are configured; looks at the query alone. */
@Injectable()
export class SignatureGuard implements CanActivate {
  constructor(
    private readonly settings: Settings,
    private readonly clock: Clock,
  ) {}

  /** @throws Refusal */
  canActivate(context: ExecutionContext): boolean {
    const { WEBHOOK_TOKENS: tokens, WEBHOOK_SIGN_WINDOW_SECONDS: window } = this.settings;
    if (!tokens) return true;
    const { Sign, RequestTime } = context.switchToHttp().getRequest<Request>().query;
    const fault = signatureFault(Sign, RequestTime, tokens, this.clock.now(), window);
    if (fault) throw Refusal.unauthorized(fault);
    return true;
  }
}
