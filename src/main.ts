import './node-version.js';
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';
import { NewerDatabase, UnusableFile } from './database/database.js';
import { Log } from './operations/log.js';
import { SettingsError } from './settings/settings.js';
import { type Service, type Stop, startService } from './service.js';

/** A mistake that a restart cannot mend: sysexits' EX_CONFIG. */
const configExit = 78;

async function main(): Promise<void> {
  try {
    const app = await NestFactory.create<NestExpressApplication>(AppModule.with(), {
      bodyParser: false,
      abortOnError: false,
      logger: false,
    });
    const log = app.get(Log);
    app.useLogger(log);
    const starting = startService(app);
    onSignals(starting, log);
    await starting;
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
  const { code, port } = error as { code?: string; port?: number };
  if (code === 'EADDRINUSE' || code === 'EACCES')
    return [`PORT, MANAGEMENT_PORT or HOST: port ${port} ${code === 'EACCES' ? 'may not be used' : 'is taken'} (${code})`];
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return [`HOST is no address of this machine (${code})`];
  return null;
}

/** SIGTERM and SIGINT drain; a second one skips the time that load balancers need to look away. */
function onSignals(starting: Promise<Service>, log: Log): void {
  let stop: Promise<Stop> | undefined;
  const signalled = (signal: string): void => {
    if (stop) return void stop.then(under => under.hurry());
    log.info('stopping', { signal });
    stop = starting.then(service => service.stop());
    stop
      .then(under => under.done)
      .then(
        () => process.exit(0),
        (error: Error) => {
          log.error('stopping failed', { error: error.message });
          process.exit(1);
        },
      );
  };
  process.on('SIGTERM', signalled).on('SIGINT', signalled);
}

await main();
