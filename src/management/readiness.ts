import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { WebhookIntake } from '../intake/intake.js';

/** How long the database may take to answer a ping. */
const pingTimeoutMs = 1000;
/** How long an answer is believed, so that probes cost nothing however often they come. */
const believedMs = 1000;

/** Why webhooks should not be sent here now. */
export type NotReady = 'draining' | 'starting' | 'database does not answer';

/** Whether webhooks can be kept. Sinks never matter: a dead one is no reason to turn webhooks away. */
@Injectable()
export class Readiness {
  /** Why no webhooks should come in, whatever could be kept. */
  closed: 'starting' | 'draining' | null = null;
  private answer: Promise<boolean> = Promise.resolve(false);
  private askedAt = -Infinity;
  private asking = false;

  constructor(
    private readonly database: Database,
    private readonly intake: WebhookIntake,
  ) {}

  /** @returns why we are not ready; `null` if we are */
  async reason(): Promise<NotReady | null> {
    if (this.closed) return this.closed;
    // Webhooks can be kept without the database.
    if (this.intake.spoolWorks) return null;
    if (!this.database.ready) return 'starting';
    return (await this.databaseAnswers()) ? null : 'database does not answer';
  }

  private databaseAnswers(): Promise<boolean> {
    // While a ping hangs no other is sent: it would only use up the connections.
    if (this.asking || performance.now() - this.askedAt < believedMs) return this.answer;
    [this.asking, this.askedAt] = [true, performance.now()];
    const ping = this.database.ping().finally(() => (this.asking = false));
    const answers = ping.then(
      () => true,
      () => false,
    );
    return (this.answer = Promise.race([answers, sleep(pingTimeoutMs, false, { ref: false })]));
  }
}
