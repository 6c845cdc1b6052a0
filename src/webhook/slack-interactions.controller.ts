import type { IncomingMessage } from 'node:http';
import { Controller, Post, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { InteractionHandler } from '../sinks/report-sink.js';
import { Refusal } from './answer.js';
import { readBody } from './body.js';

/** The one path of the public port that is not WEBHOOK_PATH. */
export const interactionsPath = 'slack/interactions';
/** The payload of a click contains the whole message. */
const maxBodyBytes = 1024 * 1024;
/** Limit for all bodies that are still arriving, together. */
const maxTotalBytes = 8 * maxBodyBytes;

/** How long the body of a refused request is still drained. */
const lingerMs = 500;

/** The interaction handlers of all open sinks. */
export abstract class InteractionHandlers {
  abstract readonly interactionHandlers: readonly InteractionHandler[];
}

/** Receives Slack's clicks, slash commands and events. Responds in Slack's format, not the vendor's; actions run after the response. */
@Controller(interactionsPath)
export class SlackInteractionsController {
  /** Bytes received so far per incomplete request, oldest first. */
  private readonly arriving = new Map<IncomingMessage, number>();
  private heldBytes = 0;

  constructor(private readonly handlers: InteractionHandlers) {}

  /**
   * 200 if the signature is valid for a sink. Otherwise an empty 401 that closes the connection, without reading the body if the headers
   * already rule out Slack. 404 if no sink takes interactions over HTTP.
   */
  @Post()
  async take(@Req() request: Request, @Res() response: Response): Promise<void> {
    const handlers = this.handlers.interactionHandlers;
    if (handlers.length === 0) throw Refusal.notFound();
    if (!hasPlainBody(request) || !handlers.some(handler => handler.accepts(request.headers))) return refuse(request, response);
    // Not earlier: a refused client need not send its body.
    if (/^100-continue$/i.test(request.headers.expect ?? '')) response.writeContinue();
    const body = await this.read(request).catch(() => null);
    // The client disconnected or was evicted: there is no one to answer.
    if (request.destroyed && !request.readableEnded) return;
    // One sink is enough: it passes interactions on to others with the same secret.
    for (const handler of handlers) {
      const answer = body && handler.handle(body, request.headers);
      if (answer === null) continue;
      const content = await answer;
      response.status(200);
      return void (typeof content === 'string' ? response.type('text/plain').end(content) : response.json(content));
    }
    refuse(request, response);
  }

  /** Over the limit, drops the oldest incomplete requests: Slack sends its bodies without delay, so these are stalled. */
  private async read(request: IncomingMessage): Promise<Buffer> {
    this.arriving.set(request, 0);
    request.on('data', (chunk: Buffer) => {
      const before = this.arriving.get(request);
      if (before === undefined) return;
      this.arriving.set(request, before + chunk.length);
      this.heldBytes += chunk.length;
      for (const oldest of this.arriving.keys()) {
        if (this.heldBytes <= maxTotalBytes) break;
        this.forget(oldest);
        oldest.destroy();
      }
    });
    try {
      return await readBody(request, maxBodyBytes);
    } finally {
      this.forget(request);
    }
  }

  private forget(request: IncomingMessage): void {
    this.heldBytes -= this.arriving.get(request) ?? 0;
    this.arriving.delete(request);
  }
}

/** Slack always sends Content-Length and never compresses. */
function hasPlainBody({ headers }: IncomingMessage): boolean {
  return headers['content-encoding'] === undefined && Number(headers['content-length'] ?? NaN) <= maxBodyBytes;
}

/** Answers at once, but closes the connection only after the body or a short delay: an earlier close could reset it and lose the answer. */
function refuse(request: Request, response: Response): void {
  response.status(401).set({ Connection: 'close', 'Content-Length': '0' }).flushHeaders();
  if (request.complete) return void response.end();
  const cut = setTimeout(() => response.end(), lingerMs);
  response.once('close', () => clearTimeout(cut));
  request.once('end', () => response.end()).resume();
}
