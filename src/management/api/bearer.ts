import { hash, timingSafeEqual } from 'node:crypto';
import { UnauthorizedException } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';

/** Requires MANAGEMENT_TOKEN as the bearer token. Must run before any body is read or path decoded. */
export function bearer(token: string) {
  const expected = Buffer.from(token);
  return (request: Request, response: Response, next: NextFunction): void => {
    const given = /^bearer +(.+)$/i.exec(request.get('authorization') ?? '')?.[1];
    // Node decodes headers as latin1.
    if (given !== undefined && sameSecret(Buffer.from(given, 'latin1'), expected)) return next();
    response.set('WWW-Authenticate', 'Bearer');
    next(new UnauthorizedException('send MANAGEMENT_TOKEN in the header Authorization: Bearer …'));
  };
}

/** Compares in constant time: digests have the same length, whatever was given. */
export function sameSecret(given: Buffer, secret: Buffer): boolean {
  return timingSafeEqual(hash('sha256', given, 'buffer'), hash('sha256', secret, 'buffer'));
}
