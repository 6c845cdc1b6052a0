import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { collectDefaultMetrics } from 'prom-client';
import { AppModule } from './app.module.js';
import { UnusableDatabase } from './database/errors.js';
import { Metrics } from './management/metrics.js';
import { Log, stackOf } from './process/log.js';
import { SettingsError } from './settings/environment.js';
import { type Service, type Stop, UnusablePort, startService } from './service.js';
import { onStopSignal } from './process/stop-signal.js';
import { onUncaught } from './process/uncaught.js';

/** A mistake that a restart cannot mend: sysexits' EX_CONFIG. */
const configExit = 78;
/** Kubernetes is told to wait for 30 s, people are told 25. */
const stopWithinMs = 24_500;

async function main(): Promise<void> {
  // Whoever read our output may go away; webhooks must still be kept.
  process.stdout.on('error', () => undefined);
  try {
    const app = await NestFactory.create<NestExpressApplication>(AppModule.with(), {
      bodyParser: false,
      abortOnError: false,
      logger: false,
    });
    const log = app.get(Log);
    app.useLogger(log);
    // Of the process, not of the service, of which tests have several in one.
    collectDefaultMetrics({ register: app.get(Metrics).registry });
    drainAtTheEnd(await startService(app), log);
  } catch (error) {
    const mistakes = mistakesOf(error);
    process.stderr.write(`${(mistakes ?? [`could not start: ${stackOf(error)}`]).join('\n')}\n`);
    process.exit(mistakes ? configExit : 1);
  }
}

/** What a person must mend before it can start, a line each; `null` for anything else. */
function mistakesOf(error: unknown): readonly string[] | null {
  if (error instanceof SettingsError) return error.mistakes;
  if (error instanceof UnusableDatabase) return [`DATABASE_URL: ${error.message}`];
  return error instanceof UnusablePort ? [error.message] : null;
}

/**
 * SIGTERM and SIGINT drain; a second one skips the time that load balancers need to look away. What nobody caught drains, too: the answers and attempts
 * under way are owed to others, but who knows what state we are in.
 */
function drainAtTheEnd(service: Service, log: Log): void {
  let stop: Stop | undefined;
  let exitCode = 0;
  const drain = (): void => {
    if (stop) return;
    setTimeout(() => {
      log.error('stopping took too long: what is under way is given up');
      process.exit(exitCode);
    }, stopWithinMs);
    stop = service.stop();
    stop.done.then(
      () => process.exit(exitCode),
      (error: unknown) => {
        log.unexpected('stopping failed', error);
        process.exit(1);
      },
    );
  };
  onStopSignal(signal => {
    if (stop) return stop.hurry();
    log.info('stopping', { signal });
    drain();
  });
  onUncaught(error => {
    exitCode = 1;
    log.unexpected('nobody caught this error: stopping', error);
    drain();
  });
}

await main();
