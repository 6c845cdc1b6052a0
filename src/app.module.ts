import { type DynamicModule, Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { Recorder } from './channel/recorder.js';
import { Clock } from './clock.js';
import { Database } from './database/database.js';
import { Workers } from './delivery/workers.js';
import { Log } from './operations/log.js';
import { Metrics } from './operations/metrics.js';
import { Readiness } from './operations/readiness.js';
import { sinkStates } from './operations/sink-states.js';
import { Settings, readSettings } from './settings/settings.js';
import { SdkAppIdGuard } from './webhook/sdk-app-id.guard.js';
import { SignatureGuard } from './webhook/signature.guard.js';
import { WebhookController } from './webhook/webhook.controller.js';
import { WebhookPipe } from './webhook/webhook.pipe.js';

/** The whole wiring of the public side, in the order of the flow: webhook → change → delivery → sink. */
@Module({})
export class AppModule {
  /** @param environment the variables to read; by default those of the process and of `.env` */
  static with(environment?: Record<string, string>): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.forRoot({
          ignoreEnvFile: environment !== undefined,
          validate: env => ({ settings: readSettings(environment ?? env) }),
        }),
      ],
      controllers: [WebhookController],
      providers: [
        { provide: Settings, useFactory: (config: ConfigService) => config.getOrThrow<Settings>('settings'), inject: [ConfigService] },
        Clock,
        {
          provide: Log,
          useFactory: (settings: Settings, clock: Clock) => new Log(settings.LOG_LEVEL, () => clock.now()),
          inject: [Settings, Clock],
        },
        {
          provide: Database,
          useFactory: (settings: Settings, log: Log) =>
            Database.open(settings.DATABASE_URL, error => log.warn('database connection lost', { error: error.message })),
          inject: [Settings, Log],
        },
        SdkAppIdGuard,
        SignatureGuard,
        WebhookPipe,
        { provide: Recorder, useFactory: recorder, inject: [Database, Workers, Log, Clock] },
        { provide: Workers, useFactory: workers, inject: [Settings, Database, Metrics, Log, Clock] },
        { provide: Metrics, useFactory: metrics, inject: [Database, Clock] },
        { provide: Readiness, useFactory: (database: Database) => new Readiness(database), inject: [Database] },
      ],
    };
  }
}

function recorder(database: Database, served: Workers, log: Log, clock: Clock): Recorder {
  return new Recorder(
    database,
    () => clock.now(),
    sinks => served.recorded(sinks),
    error => log.error('webhooks could not be kept', { error: error.message }),
  );
}

function workers(settings: Settings, database: Database, metered: Metrics, log: Log, clock: Clock): Workers {
  return new Workers(
    database,
    settings.sinks,
    {
      attempt: end => {
        metered.attemptSeconds.observe({ sink: end.sink, outcome: end.outcome }, end.durationMs / 1000);
        log.debug('delivery attempted', end);
      },
      state: (sink, { state, reason, advice }) => {
        if (state === 'ok') log.info('sink is well again', { sink });
        else log.warn('sink is stopped and probed until it heals', { sink, state, reason, advice });
      },
      deliveries: (sink, outcome, count) => metered.deliveries.inc({ sink, outcome }, count),
      trouble: error => log.error('the database failed a worker; it goes on trying', { error: error.message }),
    },
    clock,
    (message, fields) => log.warn(message, fields),
  );
}

function metrics(database: Database, clock: Clock): Metrics {
  return new Metrics(database, () => sinkStates(database, clock.now()));
}
