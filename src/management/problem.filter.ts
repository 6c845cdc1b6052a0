import { STATUS_CODES } from 'node:http';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, NotFoundException } from '@nestjs/common';
import type { Response } from 'express';
import { faultOf } from '../database/errors.js';
import { explain } from '../database/postgres/advice.js';
import { Log } from '../process/log.js';
import { type ProblemDto, noSuchCall } from './api/problem.dto.js';

/** Answers errors of the management port as RFC 9457 problems, without internal details. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly log: Log) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response>();
    const { status, detail } = this.causeOf(error);
    if (response.headersSent || response.destroyed) return;
    const problem: ProblemDto = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail };
    // Not .json(), which would set application/json.
    response.status(status).type('application/problem+json').send(JSON.stringify(problem));
  }

  private causeOf(error: unknown): { status: number; detail: string } {
    // Nest's own text for a path that nobody serves.
    if (error instanceof NotFoundException && error.message.startsWith('Cannot ')) return { status: 404, detail: noSuchCall };
    if (error instanceof HttpException) return { status: error.getStatus(), detail: error.message };
    // Body parsers and the router throw errors with a 4xx status for bad requests.
    const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
    if (typeof status === 'number' && status >= 400 && status < 500) return { status, detail: 'the request cannot be read' };
    // Handlers here depend only on the database.
    if (['conflict', 'server', 'database'].includes(faultOf(error))) {
      this.log.warn('an API call failed: the database is unavailable', explain(error as Error));
      return { status: 503, detail: 'the database is unavailable' };
    }
    this.log.unexpected('unexpected error', error);
    return { status: 500, detail: 'unexpected error; see the log' };
  }
}
