import { Global, Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { Database } from './database/database.js';
import { Clock, SharedClock } from './process/clock.js';
import { EngineEvents } from './process/engine-events.js';
import { Tracing } from './process/tracing.js';
import { version } from './outgoing/http.js';
import { Log } from './process/log.js';
import { outage } from './database/outage.js';
import { cleaner } from './settings/cleaner.js';
import { secretsOf } from './settings/secrets.js';
import { Settings } from './settings/settings.js';

const putBack =
  'Move the original back; if it no longer exists, see ChannelSyncWebhooksUnavailable in the runbook before you stop the service';

/** Shared services: settings, clocks, log, database, engine events and tracing. */
@Global()
@Module({
  imports: [ConfigModule],
  providers: [
    { provide: Settings, useFactory: (config: ConfigService) => config.getOrThrow<Settings>('settings'), inject: [ConfigService] },
    Clock,
    {
      provide: Log,
      useFactory: (settings: Settings, clock: Clock) =>
        new Log(settings.LOG_LEVEL, () => clock.now(), undefined, cleaner(secretsOf(settings))),
      inject: [Settings, Clock],
    },
    {
      provide: Database,
      useFactory: (settings: Settings, log: Log, clock: Clock) => {
        const onLost = settings.DATABASE_URL.startsWith('sqlite:')
          ? outage(
              (_, { message: error }) => log.error('the database file is gone: webhooks are rejected', { error, advice: putBack }),
              () => log.info('the database file is back'),
            )
          : outage(fields => log.warn('database connection lost', fields));
        return Database.open(settings.DATABASE_URL, onLost, clock);
      },
      inject: [Settings, Log, Clock],
    },
    { provide: SharedClock, useFactory: (database: Database) => SharedClock.by(() => database.now()), inject: [Database] },
    EngineEvents,
    {
      provide: Tracing,
      useFactory: async (settings: Settings, log: Log, events: EngineEvents) => {
        const onExport = outage(
          (_, { message: error }) => log.warn('traces cannot be sent, and are dropped', { error }),
          () => log.info('traces can be sent again'),
        );
        const { tracesUrl: url, OTEL_EXPORTER_OTLP_HEADERS: headers = {} } = settings;
        const { OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: ratio } = settings;
        const tracing = await Tracing.start(url === undefined ? null : { url, headers, sampler, ratio, version }, onExport);
        if (tracing.isOn) events.on('attempt', end => tracing.attempt(end));
        return tracing;
      },
      inject: [Settings, Log, EngineEvents],
    },
  ],
  exports: [Settings, Clock, Log, Database, SharedClock, EngineEvents, Tracing],
})
export class PlatformModule {}
