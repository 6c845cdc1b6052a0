import type { Server } from 'node:http';
import { type DynamicModule, type INestApplication, Module, ValidationPipe } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { Application } from 'express';
import { Clock } from '../process/clock.js';
import { Database } from '../database/database.js';
import { Settings } from '../settings/settings.js';
import { guardSockets } from '../process/sockets.js';
import type { ProblemDto } from './api/api.decorator.js';
import { bearer } from './api/bearer.js';
import { ChangesController } from './api/changes/changes.controller.js';
import { ChannelsController } from './api/channels/channels.controller.js';
import { DeliveriesController } from './api/deliveries/deliveries.controller.js';
import { IndexesController, SearchSinks } from './api/sinks/indexes.controller.js';
import { ReplaysController } from './api/deliveries/replays.controller.js';
import { SinksController } from './api/sinks/sinks.controller.js';
import { AdminActions } from './admin-actions.js';
import { HealthController } from './health.controller.js';
import { Log, stackOf } from '../process/log.js';
import { Metrics } from './metrics.js';
import { ProblemFilter } from './problem.filter.js';
import { Readiness } from './readiness.js';

/** What the management side is given by the program: it makes none of it itself. */
export interface ManagementParts {
  settings: Settings;
  database: Database;
  metrics: Metrics;
  readiness: Readiness;
  clock: Clock;
  log: Log;
  auditActions: AdminActions;
  /** The search sinks that are served. */
  searchSinks(): readonly { id: number; name: string }[];
}

const api = [ChannelsController, ChangesController, DeliveriesController, IndexesController, ReplaysController, SinksController];

/** Health, metrics and API: an application of its own on a port of its own, so that no mistake in routing can put it on the public one. */
@Module({})
export class ManagementModule {
  /** Without MANAGEMENT_TOKEN there is no API. */
  static of(parts: ManagementParts): DynamicModule {
    return {
      module: ManagementModule,
      controllers: [HealthController, ...(parts.settings.MANAGEMENT_TOKEN === undefined ? [] : api)],
      providers: [
        { provide: Settings, useValue: parts.settings },
        { provide: Database, useValue: parts.database },
        { provide: Metrics, useValue: parts.metrics },
        { provide: Readiness, useValue: parts.readiness },
        { provide: Clock, useValue: parts.clock },
        { provide: Log, useValue: parts.log },
        { provide: AdminActions, useValue: parts.auditActions },
        { provide: SearchSinks, useValue: { all: () => parts.searchSinks() } satisfies SearchSinks },
      ],
    };
  }
}

/** Everything about the management port that is not a route: errors, validation, documentation. */
export function configureManagement(app: INestApplication, parts: ManagementParts): void {
  const express = app.getHttpAdapter().getInstance() as Application;
  express.disable('x-powered-by').disable('etag');
  app.useGlobalFilters(
    new ProblemFilter((error, status) => {
      if (status === 503) parts.log.warn('the database failed the API', { error: stackOf(error) });
      else parts.log.unexpected('unexpected error', error);
    }),
  );
  app.useGlobalPipes(new ValidationPipe({ transform: true, whitelist: true }));
  const problem: ProblemDto = { type: 'about:blank', title: 'Not Found', status: 404, detail: 'nothing is here' };
  guardSockets(app.getHttpServer() as Server, {
    notFound: { type: 'application/problem+json; charset=utf-8', body: JSON.stringify(problem) },
    requestMs: 60_000,
    silenceMs: 10_000,
    keptAliveMs: 5000,
    onError: error => parts.log.error('connections to the management port cannot be accepted', { error: error.message }),
  });
  const { MANAGEMENT_TOKEN: token } = parts.settings;
  if (token === undefined) return;
  app.use('/api/v1', bearer(token));
  // Built when it is first asked for: the start should not wait for it.
  SwaggerModule.setup('docs', app, () => openApiOf(app), { raw: ['json'], customSiteTitle: 'channel-sync' });
}

function openApiOf(app: INestApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setTitle('channel-sync')
    .setDescription('What became of the changes of official channels. Ids are strings, times are ISO 8601, errors are RFC 9457 problems.')
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'MANAGEMENT_TOKEN' })
    .build();
  return SwaggerModule.createDocument(app, config, { ignoreGlobalPrefix: true });
}
