import { Controller, Inject, Post, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { ReportSink } from '../sinks/sink.js';
import { Refusal } from '../webhook/answer.js';
import { readBody } from '../webhook/body.js';

/** The one path of the public port that is not WEBHOOK_PATH. */
export const interactionsPath = 'slack/interactions';
/** A payload holds the whole message that was clicked. */
const mostBytes = 256 * 1024;

/** The report sinks that this process has opened. */
export abstract class ReportSinks {
  abstract all(): readonly ReportSink[];
}

/** Where Slack tells what people click. It answers in Slack's way, not with the vendor's packet; what is done, is done after the answer. */
@Controller(interactionsPath)
export class SlackInteractionsController {
  constructor(@Inject(ReportSinks) private readonly sinks: ReportSinks) {}

  /** 200 if a sink takes it as signed by Slack, else 401, both empty. Without any sink that takes clicks here there is no such path. */
  @Post()
  async take(@Req() request: Request, @Res() response: Response): Promise<void> {
    const sinks = this.sinks.all().filter(sink => 'interact' in sink);
    if (sinks.length === 0) throw Refusal.notFound();
    const body = await readBody(request, mostBytes).catch(() => null);
    // What is left of a body is read and thrown away, so that the connection can be used again.
    request.resume();
    // One sink is enough: what it does is done at all, and twice would be wrong.
    const taken = body !== null && sinks.some(sink => sink.interact?.(body.toString(), request.headers));
    response.status(taken ? 200 : 401).end();
  }
}
