import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { Settings } from '../settings/settings.js';
import { Refusal } from './answer.js';

/** Lets in webhooks of our own apps only; looks at the query alone. */
@Injectable()
export class SdkAppIdGuard implements CanActivate {
  constructor(private readonly settings: Settings) {}

  /** @throws Refusal */
  canActivate(context: ExecutionContext): boolean {
    const { SdkAppid: id } = context.switchToHttp().getRequest<Request>().query;
    if (typeof id !== 'string' || !this.settings.SDK_APP_IDS.includes(id)) throw Refusal.forbidden();
    return true;
  }
}
