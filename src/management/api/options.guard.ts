import { BadRequestException, type CanActivate, HttpCode, Post, UseGuards, applyDecorators } from '@nestjs/common';
import type { Request } from 'express';

/** Rejects a POST with a query: options are taken from the body only, so that a `dryRun` there would be ignored. */
export const noQuery: CanActivate = {
  canActivate(context) {
    const { method, query } = context.switchToHttp().getRequest<Request>();
    const [name] = Object.keys(query);
    if (method === 'POST' && name !== undefined) throw new BadRequestException(`put ${name} into the JSON body: a POST takes no query`);
    return true;
  },
};

/** Rejects options in the body of a call that has none. */
const noOptions: CanActivate = {
  canActivate(context) {
    const { body } = context.switchToHttp().getRequest<Request>();
    const [name] = Object.keys(Object(body) as object);
    if (name !== undefined) throw new BadRequestException(`unknown option ${name}: this call has none`);
    return true;
  },
};

/** A POST without options, answered with its result. */
export const Action = (path: string): MethodDecorator => applyDecorators(Post(path), HttpCode(200), UseGuards(noOptions));
