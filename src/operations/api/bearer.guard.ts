import { createHash, timingSafeEqual } from 'node:crypto';
import { type CanActivate, type ExecutionContext, Inject, Injectable, UnauthorizedException } from '@nestjs/common';
import type { Request, Response } from 'express';
import { Settings } from '../../settings/settings.js';

/** Lets in who shows MANAGEMENT_TOKEN as a bearer token. */
@Injectable()
export class BearerGuard implements CanActivate {
  private readonly expected: Buffer | null;

  constructor(@Inject(Settings) settings: Settings) {
    this.expected = settings.MANAGEMENT_TOKEN === undefined ? null : digest(Buffer.from(settings.MANAGEMENT_TOKEN));
  }

  /** @throws UnauthorizedException */
  canActivate(context: ExecutionContext): boolean {
    const shown = /^bearer +(.+)$/i.exec(context.switchToHttp().getRequest<Request>().get('authorization') ?? '')?.[1];
    // Digests are equally long, so the comparison takes the same time whatever was shown. Node reads headers as latin1.
    if (shown !== undefined && this.expected && timingSafeEqual(digest(Buffer.from(shown, 'latin1')), this.expected)) return true;
    context.switchToHttp().getResponse<Response>().set('WWW-Authenticate', 'Bearer');
    throw new UnauthorizedException('show MANAGEMENT_TOKEN in the header Authorization: Bearer …');
  }
}

function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
