import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { WebhookIntake } from '../intake/intake.js';

const pingTimeoutMs = 1000;
/** How long the result of a ping is reused, so that frequent probes put no load on the database. */
const cacheMs = 1000;

/** Whether webhooks can be recorded. Does not depend on sinks: a failing one is no reason to reject webhooks. */
@Injectable()
export class Readiness {
  /** Set while the process must not receive webhooks, even if it could record them. */
  closed: 'starting' | 'draining' | null = null;
  private answer: Promise<boolean> | null = null;

  constructor(
    private readonly database: Database,
    private readonly intake: WebhookIntake,
  ) {}

  /** Why this process should not receive webhooks now; `null` if it may. */
  async reason(): Promise<string | null> {
    if (this.closed) return this.closed;
    // With a working spool webhooks are accepted without the database.
    if (this.intake.spoolWorks) return null;
    if (!this.database.ready) return 'starting';
    return (await this.databaseAnswers()) ? null : 'database does not answer';
  }

  private databaseAnswers(): Promise<boolean> {
    if (this.answer) return this.answer;
    const ping = this.database.ping().then(
      () => true,
      () => false,
    );
    // No second ping while one hangs, since each occupies a connection.
    void Promise.all([ping, sleep(cacheMs, undefined, { ref: false })]).then(() => (this.answer = null));
    return (this.answer = Promise.race([ping, sleep(pingTimeoutMs, false, { ref: false })]));
  }
}
