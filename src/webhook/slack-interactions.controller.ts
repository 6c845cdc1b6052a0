import type { IncomingMessage } from 'node:http';
import { Controller, Post, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { Door } from '../sinks/report-sink.js';
import { Refusal } from './answer.js';
import { readBody } from './body.js';

/** The one path of the public port that is not WEBHOOK_PATH. */
export const interactionsPath = 'slack/interactions';
/** A click holds the whole message that it is on. */
const mostBytes = 1024 * 1024;
/** What all bodies that are on their way may take up together. */
const mostBytesInAll = 8 * mostBytes;

/** How long a refused body may still come, to be thrown away. */
const lingerMs = 500;

/** What the opened sinks make of requests to this path. */
export abstract class Doors {
  abstract readonly all: readonly Door[];
}

/** Where Slack tells what people click and type. It answers in Slack's way, not with the vendor's packet; what is clicked is done after the answer. */
@Controller(interactionsPath)
export class SlackInteractionsController {
  /** How much of its body each request has brought that is not whole yet, the oldest first. */
  private readonly arriving = new Map<IncomingMessage, number>();
  private held = 0;

  constructor(private readonly doors: Doors) {}

  /**
   * 200 if a sink takes it as signed by Slack; else 401, empty, and the end of the connection: before anything of the body is read if the headers are
   * not Slack's. Without any sink that takes interactions here there is no such path.
   */
  @Post()
  async take(@Req() request: Request, @Res() response: Response): Promise<void> {
    const doors = this.doors.all;
    if (doors.length === 0) throw Refusal.notFound();
    if (!hasPlainBody(request) || !doors.some(door => door.admits(request.headers))) return refuse(request, response);
    // Only now: who is refused need not send a body.
    if (/^100-continue$/i.test(request.headers.expect ?? '')) response.writeContinue();
    const body = await this.read(request).catch(() => null);
    // The sender went away, or had to make room: there is nobody to answer.
    if (request.destroyed && !request.readableEnded) return;
    // One sink is enough: it hands on what is for others with the same secret.
    for (const door of body === null ? [] : doors) {
      const answer = door.take(body!, request.headers);
      if (answer === null) continue;
      const said = await answer;
      response.status(200);
      return void (typeof said === 'string' ? response.type('text/plain').end(said) : response.json(said));
    }
    refuse(request, response);
  }

  /** Whoever stalls makes room for others: Slack's own bodies come at once. */
  private async read(request: IncomingMessage): Promise<Buffer> {
    this.arriving.set(request, 0);
    request.on('data', (chunk: Buffer) => {
      const before = this.arriving.get(request);
      if (before === undefined) return;
      this.arriving.set(request, before + chunk.length);
      this.held += chunk.length;
      for (const oldest of this.arriving.keys()) {
        if (this.held <= mostBytesInAll) break;
        this.forget(oldest);
        oldest.destroy();
      }
    });
    try {
      return await readBody(request, mostBytes);
    } finally {
      this.forget(request);
    }
  }

  private forget(request: IncomingMessage): void {
    this.held -= this.arriving.get(request) ?? 0;
    this.arriving.delete(request);
  }
}

/** Slack tells the length of what it sends, and never packs it. */
function hasPlainBody({ headers }: IncomingMessage): boolean {
  return headers['content-encoding'] === undefined && Number(headers['content-length'] ?? NaN) <= mostBytes;
}

/** Answers at once. The connection is closed when the body has come, or soon: closed before, it would be reset, and the answer could be lost. */
function refuse(request: Request, response: Response): void {
  response.status(401).set({ Connection: 'close', 'Content-Length': '0' }).flushHeaders();
  if (request.complete) return void response.end();
  const cut = setTimeout(() => response.end(), lingerMs);
  response.once('close', () => clearTimeout(cut));
  request.once('end', () => response.end()).resume();
}
