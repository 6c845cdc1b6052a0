import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';
import { NewerDatabase, UnusableFile } from './database/database.js';
import { Log } from './operations/log.js';
import { SettingsError } from './settings/settings.js';
import { type Service, type Stop, UnusablePort, startService } from './service.js';
import { onStopSignal } from './stop-signal.js';

/** A mistake that a restart cannot mend: sysexits' EX_CONFIG. */
const configExit = 78;

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
    drainOnSignals(await startService(app), log);
  } catch (error) {
    const mistakes = mistakesOf(error);
    process.stderr.write(`${(mistakes ?? [`could not start: ${(error as Error).stack}`]).join('\n')}\n`);
    process.exit(mistakes ? configExit : 1);
  }
}

/** What a person must mend before it can start, a line each; `null` for anything else. */
function mistakesOf(error: unknown): readonly string[] | null {
  if (error instanceof SettingsError) return error.mistakes;
  if (error instanceof UnusableFile || error instanceof NewerDatabase) return [`DATABASE_URL: ${error.message}`];
  return error instanceof UnusablePort ? [error.message] : null;
}

/** SIGTERM and SIGINT drain; a second one skips the time that load balancers need to look away. */
function drainOnSignals(service: Service, log: Log): void {
  let stop: Stop | undefined;
  onStopSignal(signal => {
    if (stop) return stop.hurry();
    log.info('stopping', { signal });
    stop = service.stop();
    stop.done.then(
      () => process.exit(0),
      (error: Error) => {
        log.error('stopping failed', { error: error.message });
        process.exit(1);
      },
    );
  });
}

await main();
