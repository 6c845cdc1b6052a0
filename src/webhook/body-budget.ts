import { Injectable } from '@nestjs/common';
import type { Request } from 'express';

/** Bodies up to this size never wait. */
const smallBytes = 16 * 1024;
/** Total size of larger bodies processed at once, about as much as one transaction records; a single body may exceed it. */
const budgetBytes = 4 * 1024 * 1024;
/** A body still incomplete after this time no longer counts towards the budget, so that a stalled client cannot block others. */
const slowMs = 250;

/** Limits the total size of request bodies in memory. Waiting requests are not read from, so backpressure slows their clients down. */
@Injectable()
export class BodyBudget {
  private used = 0;
  private readonly waiting: { bytes: number; enter: () => void }[] = [];

  /**
   * Resolves when this body may be read, in order of arrival. Its share is released once the response is sent or the connection closes.
   * @param limit maximum body size in bytes, before and after decompression
   * @throws if the request ended while it waited
   */
  async enter(request: Request, limit: number): Promise<void> {
    const sent = Math.min(limit, Number(request.headers['content-length'] ?? limit));
    const bytes = request.headers['content-encoding'] === undefined ? sent : sent + limit;
    if (bytes <= smallBytes) return;
    await new Promise<void>(enter => {
      this.waiting.push({ bytes, enter });
      this.admit();
    });
    const reading = { bytes };
    const slow = setTimeout(() => request.complete || this.giveBack(reading), slowMs);
    const over = (): void => {
      clearTimeout(slow);
      this.giveBack(reading);
    };
    if (request.res!.closed) over();
    else request.res!.once('close', over);
    if (request.destroyed) throw new Error('the request ended before its body was read');
  }

  private giveBack(reading: { bytes: number }): void {
    this.used -= reading.bytes;
    reading.bytes = 0;
    this.admit();
  }

  private admit(): void {
    for (let next = this.waiting[0]; next && (this.used === 0 || this.used + next.bytes <= budgetBytes); next = this.waiting[0]) {
      this.waiting.shift();
      this.used += next.bytes;
      next.enter();
    }
  }
}
