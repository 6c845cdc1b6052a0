import { hash, timingSafeEqual } from 'node:crypto';
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { Clock } from '../process/clock.js';
import { Settings } from '../settings/settings.js';
import { Refusal } from './answer.js';
import type { Fault } from './rejections.js';

/** Accepts webhooks of configured apps only. Reads nothing but the query. */
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

/** Accepts webhooks signed with a configured token, or all if no token is configured. Reads nothing but the query. */
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
 * Verifies the vendor's signature: `Sign` is the hex SHA-256 of token + RequestTime, a plain hash, not an HMAC (Tencent Cloud, product 1047,
 * document 34354). Compared in constant time; any token may match, since there are two during rotation.
 * @param windowSeconds maximum distance of RequestTime from `nowMs` in either direction, inclusive
 * @returns `null` if the signature is valid
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
  // Compare every token, so that timing does not reveal which one matched.
  for (const token of tokens) if (timingSafeEqual(given, hash('sha256', `${token}${String(requestTime)}`, 'buffer'))) matched = true;
  return matched ? null : { cause: 'signature', secondsAhead };
}
