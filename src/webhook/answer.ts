import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { Request, Response } from 'express';
import { Unavailable } from '../channel/recorder.js';
import type { Fault, RejectionCause } from './rejections.js';

/** The vendor's answer packet: all three fields are mandatory (Tencent Cloud, product 1047, document 60797). */
export interface AnswerPacket {
  ActionStatus: 'OK' | 'FAIL';
  ErrorCode: number;
  ErrorInfo: string;
}

export const okPacket: AnswerPacket = { ActionStatus: 'OK', ErrorCode: 0, ErrorInfo: '' };

/** What can become of a webhook, as metrics call it. */
export const webhookResults = [
  'recorded',
  'repeat',
  'spooled',
  'ignored',
  'forbidden',
  'unauthorized',
  'too_large',
  'invalid',
  'unavailable',
] as const;
export type WebhookResult = (typeof webhookResults)[number];

/** A webhook that we refuse: its HTTP status, the code of the answer packet, the result that metrics count, and what is told of it. */
export class Refusal extends Error {
  private constructor(
    readonly status: number,
    readonly code: number,
    readonly result: WebhookResult | null,
    message: string,
    readonly fault: Fault | null = null,
  ) {
    super(message);
  }

  get packet(): AnswerPacket {
    return { ActionStatus: 'FAIL', ErrorCode: this.code, ErrorInfo: this.message };
  }

  private static lost(status: number, code: number, result: WebhookResult, cause: RejectionCause, message: string): Refusal {
    return new Refusal(status, code, result, message, { cause, secondsAhead: null });
  }

  static forbidden = (): Refusal =>
    Refusal.lost(403, 120001, 'forbidden', 'app', 'SdkAppid is missing, repeated or not one of SDK_APP_IDS');
  static unauthorized = (fault: Fault): Refusal =>
    new Refusal(
      401,
      120002,
      'unauthorized',
      'Sign or RequestTime is missing, malformed, wrong or outside the allowed time: compare the token of the console with WEBHOOK_TOKENS',
      fault,
    );
  static invalid = (what: string): Refusal => Refusal.lost(400, 120003, 'invalid', 'invalid', what);
  static tooLarge = (limit: number): Refusal =>
    Refusal.lost(413, 120004, 'too_large', 'too_large', `the body is larger than ${limit} bytes, see WEBHOOK_BODY_LIMIT`);
  static unavailable = (): Refusal => Refusal.lost(503, 120005, 'unavailable', 'unavailable', 'the webhook could not be kept just now');
  static notFound = (): Refusal => new Refusal(404, 120006, null, 'nothing is here: the webhook path is WEBHOOK_PATH');
}

/** Turns whatever goes wrong on the public port into the answer packet, and leaves in `response.locals` its result and what is told of it. */
@Catch()
export class AnswerFilter implements ExceptionFilter {
  /** @param onBrokenOff told of a request whose sender went away before its body had come */
  constructor(
    private readonly onBug: (error: unknown) => void,
    private readonly onBrokenOff: (response: Response) => void,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    this.answer(error, host.switchToHttp().getRequest<Request>(), host.switchToHttp().getResponse<Response>());
  }

  answer(error: unknown, request: Request, response: Response): void {
    // The sender went away in the middle: there is nobody to answer and nothing to count.
    const isBrokenOff = request.destroyed && !request.readableEnded;
    if (isBrokenOff && !isAnswer(error)) this.onBrokenOff(response);
    if (isBrokenOff) return;
    const refusal = this.refusalOf(error);
    Object.assign(response.locals, { result: refusal.result, fault: refusal.fault });
    // What is left of a body is read and thrown away, so that the connection can be used again.
    request.resume();
    if (response.headersSent || response.destroyed) return;
    response.status(refusal.status).json(refusal.packet);
  }

  private refusalOf(error: unknown): Refusal {
    if (error instanceof Refusal) return error;
    if (error instanceof Unavailable) return Refusal.unavailable();
    if (isAnswer(error)) return Refusal.notFound();
    this.onBug(error);
    return Refusal.unavailable();
  }
}

/** Whether it was thrown as an answer. Nest's own are for paths and methods that no route has, and for paths that cannot be decoded. */
function isAnswer(error: unknown): boolean {
  return error instanceof Refusal || error instanceof HttpException || error instanceof URIError;
}
