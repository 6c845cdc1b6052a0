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

/** The public side, where webhooks come in, on top of the engine. */
@Module({})
export class AppModule {
  /** @param environment the variables to read; by default those of the process and of `.env` */
  static with(environment?: Record<string, string>): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.forRoot({
          // Read by us, so that what its reader cuts is seen.
          ignoreEnvFile: true,
          validate: env => {
            const { variables, warnings } = environment ? { variables: environment, warnings: [] } : withEnvFile(env);
            return { settings: readSettings(variables, warnings) };
          },
        }),
        PlatformModule,
        EngineModule,
      ],
      controllers: [WebhookController, SlackInteractionsController],
      providers: [
        BodyBudget,
        // Asked at each request: sinks are opened after this is wired.
        {
          provide: InteractionHandlers,
          useFactory: (served: ServedSinks): InteractionHandlers => ({
            get all() {
              return served.interactionHandlers;
            },
          }),
          inject: [ServedSinks],
        },
      ],
    };
  }
}
