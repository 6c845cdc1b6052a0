import { createHash, timingSafeEqual } from 'node:crypto';
import { UnauthorizedException } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';

/** Lets in who shows MANAGEMENT_TOKEN as a bearer token. Stands before everything that reads a body or decodes a path. */
export function bearer(token: string) {
  const expected = Buffer.from(token);
  return (request: Request, response: Response, next: NextFunction): void => {
    const shown = /^bearer +(.+)$/i.exec(request.get('authorization') ?? '')?.[1];
    // Node reads headers as latin1.
    if (shown !== undefined && sameSecret(Buffer.from(shown, 'latin1'), expected)) return next();
    response.set('WWW-Authenticate', 'Bearer');
    next(new UnauthorizedException('send MANAGEMENT_TOKEN in the header Authorization: Bearer …'));
  };
}

/** Whether what was shown is the secret. Digests are equally long, so the comparison takes the same time whatever was shown. */
export function sameSecret(shown: Buffer, secret: Buffer): boolean {
  return timingSafeEqual(digest(shown), digest(secret));
}

function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
