import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { faultOf } from '../database/errors.js';
import { WebhookIntake } from '../intake/intake.js';
import { Clock } from '../process/clock.js';
import { EngineEvents } from '../process/engine-events.js';

const pingTimeoutMs = 1000;
/** How long the result of a ping is reused, so that frequent probes put no load on the database. */
const cacheMs = 1000;

/** How long a failure to record counts. Not for ever: without webhooks, which an unready process may not get, none could clear it. */
const distrustMs = 10_000;

/** Whether webhooks can be recorded. Does not depend on sinks: a failing one is no reason to reject webhooks. */
@Injectable()
export class Readiness {
  /** Set while the process must not receive webhooks, even if it could record them. */
  closed: 'starting' | 'draining' | null = null;
  private answer: Promise<string | null> | null = null;
  /** Monotonic time of the latest failure to record webhooks, if none was recorded since. */
  private failedAt = -Infinity;

  constructor(
    private readonly database: Database,
    private readonly intake: WebhookIntake,
    private readonly clock: Clock,
    events: EngineEvents,
  ) {
    events
      .on('degraded', (part, error) => {
        // Other faults are of a single webhook.
        if (part === 'recording' && !['data', 'bug'].includes(faultOf(error))) this.failedAt = this.clock.monotonic();
      })
      .on('recorded', () => (this.failedAt = -Infinity));
  }

  /** Why this process should not receive webhooks now; `null` if it may. */
  async reason(): Promise<string | null> {
    if (this.closed) return this.closed;
    // With a working spool webhooks are accepted without the database.
    if (this.intake.spoolWorks) return null;
    if (!this.database.ready) return 'starting';
    // A full disk may have room for a ping all the same.
    if (this.clock.monotonic() - this.failedAt < distrustMs) return 'the latest webhook could not be stored';
    return this.databaseProblem();
  }

  private databaseProblem(): Promise<string | null> {
    if (this.answer) return this.answer;
    const ping = this.database.ping().then(
      () => null,
      () => 'database cannot be written',
    );
    // No second ping while one hangs, since each occupies a connection.
    void Promise.all([ping, sleep(cacheMs, undefined, { ref: false })]).then(() => (this.answer = null));
    return (this.answer = Promise.race([ping, sleep(pingTimeoutMs, 'database does not answer', { ref: false })]));
  }
}
