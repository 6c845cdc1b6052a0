import { All, NotFoundException, Req } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Request } from 'express';
import { Api } from './api.decorator.js';

/** Every other path of the API: behind the token too, so that nobody can ask what is there. Stands last. */
@ApiExcludeController()
@Api('')
export class UnknownController {
  /** @throws NotFoundException */
  @All(['', '*path'])
  nothing(@Req() request: Request): never {
    throw new NotFoundException(`nothing is here: ${request.method} ${request.path}`);
  }
}
