import { Injectable } from '@nestjs/common';
import type { Request } from 'express';

/** Bodies up to this size wait for nobody. */
const smallBytes = 16 * 1024;
/** How much of larger ones is read and worked on at once, about what one transaction keeps; a single one may be larger. */
const budgetBytes = 4 * 1024 * 1024;
/** A body that has not come whole for so long counts no more: who stands still in the middle of one must not hold up the others. */
const slowMs = 250;

/**
 * The bytes of the bodies that are read and worked on, so that memory does not grow with the number of senders. A request that waits is not read
 * from: its sender is just slower.
 */
@Injectable()
export class BodyBudget {
  private used = 0;
  private readonly waiting: { bytes: number; enter: () => void }[] = [];

  /**
   * Resolves when the body of this request may be read, in the order of arrival; what it takes is given back with the answer, or with the connection.
   * @param limit how many bytes of it are read at most, also after decompression
   * @throws if the request has ended meanwhile
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
