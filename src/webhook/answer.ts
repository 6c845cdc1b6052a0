import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import type { Request, Response } from 'express';
import { Unavailable } from '../channel/recorder.js';
import type { Fault, RejectionCause } from './rejections.js';

/** The response body the vendor expects; all three fields are mandatory (Tencent Cloud, product 1047, document 60797). */
export interface AnswerPacket {
  ActionStatus: 'OK' | 'FAIL';
  ErrorCode: number;
  ErrorInfo: string;
}

const mb = 1024 ** 2;

export const okPacket: AnswerPacket = { ActionStatus: 'OK', ErrorCode: 0, ErrorInfo: '' };

/** The possible outcomes of a webhook, as labelled in metrics. */
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

/** A rejected webhook: HTTP status, `ErrorCode`, result label for metrics (`null`: not counted), and the fault to log, if any. */
export class Refusal extends Error {
  readonly fault: Fault | null;

  private constructor(
    readonly status: number,
    readonly code: number,
    readonly result: WebhookResult | null,
    cause: RejectionCause | null,
    message: string,
    more: Partial<Fault> = {},
  ) {
    super(message);
    this.fault = cause && { secondsAhead: null, ...more, cause };
  }

  get packet(): AnswerPacket {
    return { ActionStatus: 'FAIL', ErrorCode: this.code, ErrorInfo: this.message };
  }

  static forbidden = (): Refusal => new Refusal(403, 120001, 'forbidden', 'app', 'SdkAppid is missing, repeated or not one of SDK_APP_IDS');
  static unauthorized({ cause, secondsAhead }: Fault): Refusal {
    const wrong = 'Sign or RequestTime is missing, malformed, wrong or outside the allowed time';
    const message = `${wrong}: compare the token of the console with WEBHOOK_TOKENS`;
    return new Refusal(401, 120002, 'unauthorized', cause, message, { secondsAhead });
  }
  static invalid = (message: string): Refusal => new Refusal(400, 120003, 'invalid', 'invalid', message, { rule: message });
  static tooLarge(limit: number): Refusal {
    const [unit, bytes] = limit < mb ? ['kB', 1024] : ['MB', mb];
    const size = `${(limit / bytes).toLocaleString('en', { maximumFractionDigits: 1 })} ${unit}`;
    return new Refusal(413, 120004, 'too_large', 'too_large', `the body is larger than ${size}, see WEBHOOK_BODY_LIMIT`);
  }
  static unavailable = (): Refusal => new Refusal(503, 120005, 'unavailable', 'unavailable', 'the webhook could not be stored');
  static notFound = (): Refusal => new Refusal(404, 120006, null, null, 'nothing is here: the webhook path is WEBHOOK_PATH');
}

/** Turns errors on the public port into answer packets; stores their result and fault in `response.locals` for metrics and log. */
@Catch()
export class AnswerFilter implements ExceptionFilter {
  /** @param onAborted called when the client disconnects before the whole body has arrived */
  constructor(
    private readonly onBug: (error: unknown) => void,
    private readonly onAborted: (response: Response) => void,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    this.answer(error, host.switchToHttp().getRequest<Request>(), host.switchToHttp().getResponse<Response>());
  }

  answer(error: unknown, request: Request, response: Response): void {
    // The client disconnected mid-request: there is no one to answer and nothing to count.
    const isAborted = request.destroyed && !request.readableEnded;
    if (isAborted && !isAnswer(error)) this.onAborted(response);
    if (isAborted) return;
    const refusal = this.refusalOf(error);
    Object.assign(response.locals, { result: refusal.result, fault: refusal.fault });
    // Drain the rest of the body so that the connection can be reused.
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

/** Whether the error stands for an answer: a Refusal, or Nest's error for an unknown route or a path that cannot be decoded. */
function isAnswer(error: unknown): boolean {
  return error instanceof Refusal || error instanceof HttpException || error instanceof URIError;
}
