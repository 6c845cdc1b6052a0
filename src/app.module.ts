import { type DynamicModule, Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { EngineModule } from './engine.module.js';
import { ServedSinks } from './sinks/served-sinks.js';
import { PlatformModule } from './platform.module.js';
import { withEnvFile } from './settings/env-file.js';
import { readSettings } from './settings/settings.js';
import { BodyBudget } from './webhook/body-budget.js';
import { InteractionHandlers, SlackInteractionsController } from './webhook/slack-interactions.controller.js';
import { WebhookController } from './webhook/webhook.controller.js';

/** The whole service: the public port's controllers on top of the engine. */
@Module({})
export class AppModule {
  /** @param environment variables to read instead of the process's and those in `.env` */
  static with(environment?: Record<string, string>): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.forRoot({
          // We read `.env` ourselves, to warn of values that Nest's parser would silently truncate.
          ignoreEnvFile: true,
          validate: env => ({ settings: environment ? readSettings(environment) : readSettings(...withEnvFile(env)) }),
        }),
        PlatformModule,
        EngineModule,
      ],
      controllers: [WebhookController, SlackInteractionsController],
      providers: [BodyBudget, { provide: InteractionHandlers, useExisting: ServedSinks }],
    };
  }
}
