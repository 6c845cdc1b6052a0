import 'reflect-metadata';
import { env } from 'node:process';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { collectDefaultMetrics } from 'prom-client';
import { AppModule } from './app.module.js';
import { UnusableDatabase } from './database/errors.js';
import { Metrics } from './management/metrics.js';
import { Log, stackOf } from './process/log.js';
import { cleaner } from './settings/cleaner.js';
import { withEnvFile } from './settings/env-file.js';
import { SettingsError } from './settings/environment.js';
import { secretsOf } from './settings/secrets.js';
import { examineSettings } from './settings/settings.js';
import { type Service, type Stop, startService } from './service.js';
import { exitHandlers } from './process/exit-handlers.js';

/** Exit code for errors that a restart cannot fix: EX_CONFIG of sysexits. */
const configExit = 78;
/** Below the 25 s that we document, and the 30 s that our deployments allow. */
const stopTimeoutMs = 24_500;

async function main(): Promise<void> {
  // If the reader of our output goes away, webhooks must still be stored.
  process.stdout.on('error', () => undefined);
  exitHandlers.onUncaught = failStart;
  try {
    const app = await NestFactory.create<NestExpressApplication>(AppModule.with(), {
      bodyParser: false,
      abortOnError: false,
      logger: false,
    });
    const log = app.get(Log);
    app.useLogger(log);
    // Process metrics are registered here, since tests run several services in one process.
    collectDefaultMetrics({ register: app.get(Metrics).registry });
    drainOnExit(await startService(app), log);
  } catch (error) {
    failStart(error);
  }
}

/** Ends the process with what must be fixed, one problem per line, or with the error. Secrets are removed, as in the log. */
function failStart(error: unknown): void {
  const isUnusable = error instanceof UnusableDatabase;
  const text = isUnusable ? `DATABASE_URL: ${error.message}` : `could not start: ${stackOf(error)}`;
  const clean = (): string => cleaner(secretsOf(examineSettings(...withEnvFile(env)).settings))(text);
  process.stderr.write(`${error instanceof SettingsError ? error.message : clean()}\n`);
  process.exit(isUnusable || error instanceof SettingsError ? configExit : 1);
}

/**
 * Drains on SIGTERM, SIGINT and SIGHUP; a second signal skips the wait for load balancers. Also drains after an uncaught error: our state
 * is then unknown, but requests and attempts in progress should still finish.
 */
function drainOnExit(service: Service, log: Log): void {
  let stop: Stop | undefined;
  let exitCode = 0;
  const drain = (): void => {
    if (stop) return;
    setTimeout(() => {
      log.error('stopping took too long: attempts in progress are abandoned');
      process.exit(exitCode);
    }, stopTimeoutMs);
    stop = service.stop();
    stop.done.then(
      () => process.exit(exitCode),
      (error: unknown) => {
        log.unexpected('stopping failed', error);
        process.exit(1);
      },
    );
  };
  exitHandlers.onSignal = signal => {
    if (stop) return stop.hurry();
    log.info('stopping', { signal });
    drain();
  };
  exitHandlers.onUncaught = error => {
    exitCode = 1;
    log.unexpected('uncaught error: stopping', error);
    drain();
  };
}

await main();
