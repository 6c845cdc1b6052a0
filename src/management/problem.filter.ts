import { STATUS_CODES } from 'node:http';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { Response } from 'express';
import { faultOf } from '../database/errors.js';
import { Log, stackOf } from '../process/log.js';
import type { ProblemDto } from './api/problem.dto.js';

/** Turns whatever goes wrong on the management port into a problem. Its details never tell what is inside. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly log: Log) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response>();
    const { status, detail } = this.causeOf(error);
    if (response.headersSent || response.destroyed) return;
    const problem: ProblemDto = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail };
    // Not .json(): that would say application/json.
    response.status(status).type('application/problem+json').send(JSON.stringify(problem));
  }

  private causeOf(error: unknown): { status: number; detail: string } {
    if (error instanceof HttpException) return { status: error.getStatus(), detail: detailOf(error) };
    // Body parsers and the router throw errors of their own, with a status, where the caller is to blame.
    const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
    if (typeof status === 'number' && status >= 400 && status < 500) return { status, detail: 'the request cannot be read' };
    // Everything that a handler here waits for is the database.
    if (['conflict', 'server', 'database'].includes(faultOf(error))) {
      this.log.warn('an API call failed: the database is unavailable', { error: stackOf(error) });
      return { status: 503, detail: 'the database is unavailable' };
    }
    this.log.unexpected('unexpected error', error);
    return { status: 500, detail: 'unexpected error; see the log' };
  }
}

/** The validation pipe gives a list of what is wrong. */
function detailOf(error: HttpException): string {
  const body = error.getResponse();
  const message = typeof body === 'object' && 'message' in body ? body.message : error.message;
  return Array.isArray(message) ? message.join('; ') : String(message);
}
