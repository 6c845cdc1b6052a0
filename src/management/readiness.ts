import { setTimeout as sleep } from 'node:timers/promises';
import { Database } from '../database/database.js';

/** How long the database may take to answer a ping. */
const pingTimeoutMs = 1000;
/** How long an answer is believed, so that probes cost nothing however often they come. */
const believedMs = 1000;

/** Why webhooks should not be sent here now. */
export type NotReady = 'draining' | 'starting' | 'database does not answer';

/** Whether webhooks can be kept. Sinks never matter: a dead one is no reason to turn webhooks away. */
export class Readiness {
  /** Why no webhooks should come in, whatever could be kept. */
  closed: 'starting' | 'draining' | null = null;
  private answer: Promise<boolean> = Promise.resolve(false);
  private askedAt = -Infinity;
  private asking = false;

  /** @param spoolWorks whether webhooks can be kept without the database */
  constructor(
    private readonly database: Database,
    private readonly spoolWorks: () => boolean,
  ) {}

  async ready(): Promise<boolean> {
    return (await this.reason()) === null;
  }

  /** @returns why we are not ready; `null` if we are */
  async reason(): Promise<NotReady | null> {
    if (this.closed) return this.closed;
    if (this.spoolWorks()) return null;
    if (!this.database.ready) return 'starting';
    return (await this.databaseAnswers()) ? null : 'database does not answer';
  }

  private databaseAnswers(): Promise<boolean> {
    const now = performance.now();
    if (now - this.askedAt < believedMs) return this.answer;
    this.askedAt = now;
    // A ping that still hangs is answer enough; more of them would only use up the connections.
    this.answer = this.asking ? Promise.resolve(false) : Promise.race([this.ping(), sleep(pingTimeoutMs, false, { ref: false })]);
    return this.answer;
  }

  private async ping(): Promise<boolean> {
    this.asking = true;
    try {
      await this.database.ping();
      return true;
    } catch {
      return false;
    } finally {
      this.asking = false;
    }
  }
}
