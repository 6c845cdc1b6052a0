import { createHash, timingSafeEqual } from 'node:crypto';
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { Clock } from '../process/clock.js';
import { Settings } from '../settings/settings.js';
import { Refusal } from './answer.js';
import type { Fault } from './rejections.js';

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

/**
 * Checks the vendor's source check: `Sign` is the hex SHA-256 of token + RequestTime as they stand, a plain hash and no HMAC
 * (Tencent Cloud, product 1047, document 34354). Compared in constant time; any token may match.
 * @param tokens the current token and, while rotating, the previous
 * @param nowMs milliseconds; `windowSeconds` is allowed both ways, its edges are inside
 * @returns `null` if it is the vendor's
 */
export function signatureFault(
  sign: unknown,
  requestTime: unknown,
  tokens: readonly string[],
  nowMs: number,
  windowSeconds: number,
): Fault | null {
  const isTime = typeof requestTime === 'string' && /^\d{10}$/.test(requestTime);
  const secondsAhead = isTime ? Number(requestTime) - Math.floor(nowMs / 1000) : null;
  if (sign === undefined || sign === '') return { cause: 'unsigned', secondsAhead };
  if (secondsAhead === null || typeof sign !== 'string' || !/^[0-9a-fA-F]{64}$/.test(sign)) return { cause: 'signature', secondsAhead };
  if (Math.abs(secondsAhead) > windowSeconds) return { cause: 'clock', secondsAhead };
  const given = Buffer.from(sign, 'hex');
  let matched = false;
  for (const token of tokens) {
    const expected = createHash('sha256')
      .update(`${token}${String(requestTime)}`)
      .digest();
    // Every token is compared, so that the time does not tell which one matched.
    if (timingSafeEqual(given, expected)) matched = true;
  }
  return matched ? null : { cause: 'signature', secondsAhead };
}
