import { Global, Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { Database } from './database/database.js';
import { Clock, SharedClock } from './process/clock.js';
import { EngineEvents } from './process/engine-events.js';
import { Log } from './process/log.js';
import { outage } from './database/outage.js';
import { cleaner } from './settings/cleaner.js';
import { secretsOf } from './settings/secrets.js';
import { Settings } from './settings/settings.js';

/** What every part of the service stands on: settings, time, log, database, and the events of the engine. */
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
        const lost = outage(fields => log.warn('database connection lost', fields));
        return Database.open(settings.DATABASE_URL, lost, clock);
      },
      inject: [Settings, Log, Clock],
    },
    { provide: SharedClock, useFactory: (database: Database) => SharedClock.by(() => database.now()), inject: [Database] },
    EngineEvents,
  ],
  exports: [Settings, Clock, Log, Database, SharedClock, EngineEvents],
})
export class PlatformModule {}
