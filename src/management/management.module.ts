import type { Server } from 'node:http';
import { type DynamicModule, type INestApplication, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { SwaggerModule } from '@nestjs/swagger';
import type { Application } from 'express';
import { Checks } from '../checks/checks.js';
import { Database } from '../database/database.js';
import { Lookups } from '../sinks/lookup.js';
import { ServedSinks } from '../sinks/served-sinks.js';
import { SharedClock } from '../process/clock.js';
import { Log } from '../process/log.js';
import { guardSockets } from '../process/sockets.js';
import { Settings } from '../settings/settings.js';
import { bearer } from './api/bearer.js';
import { openApiOf } from './api/openapi.js';
import { noQuery } from './api/options.guard.js';
import { type ProblemDto, noSuchCall } from './api/problem.dto.js';
import { AuditController } from './api/audit/audit.controller.js';
import { ChangesController } from './api/changes/changes.controller.js';
import { ComparisonsController } from './api/comparisons/comparisons.controller.js';
import { ChannelsController } from './api/channels/channels.controller.js';
import { DeliveriesController } from './api/deliveries/deliveries.controller.js';
import { SinksController } from './api/sinks/sinks.controller.js';
import { AdminActions } from './admin-actions.js';
import { HealthController } from './health.controller.js';
import { Metrics } from './metrics.js';
import { PageController } from './page/page.controller.js';
import { ProblemFilter } from './problem.filter.js';
import { Readiness } from './readiness.js';
import { RequestPipe } from './request.pipe.js';

/** Providers of the public application that this one shares. They must have no lifecycle hooks, which would run in both. */
const shared = [Settings, Database, Metrics, Readiness, SharedClock, Log, AdminActions, Checks, ServedSinks, Lookups];

/** Fits ten thousand ids of 255 bytes, with the overhead of JSON. */
const maxBodyBytes = 4 * 1024 * 1024;

const api = [
  AuditController,
  ChannelsController,
  ChangesController,
  DeliveriesController,
  PageController,
  SinksController,
  ComparisonsController,
];

/** Health, metrics and API: a separate application on its own port, so that no routing mistake can expose it on the public one. */
@Module({})
export class ManagementModule {
  /** @param main the public application. Without MANAGEMENT_TOKEN there is no API. */
  static beside(main: Pick<INestApplication, 'get'>): DynamicModule {
    return {
      module: ManagementModule,
      controllers: [HealthController, ...(main.get(Settings).MANAGEMENT_TOKEN === undefined ? [] : api)],
      providers: [
        ...shared.map(provide => ({ provide, useValue: main.get<unknown>(provide) })),
        { provide: APP_FILTER, useClass: ProblemFilter },
        { provide: APP_GUARD, useValue: noQuery },
        { provide: APP_PIPE, useClass: RequestPipe },
      ],
    };
  }
}

/** Sets up socket limits, authentication and API documentation. */
export function configureManagement(app: NestExpressApplication): void {
  const [settings, log] = [app.get(Settings), app.get(Log)];
  const express = app.getHttpAdapter().getInstance() as Application;
  express.disable('x-powered-by').disable('etag');
  const problem: ProblemDto = { type: 'about:blank', title: 'Not Found', status: 404, detail: noSuchCall };
  guardSockets(app.getHttpServer() as Server, {
    notFound: { type: 'application/problem+json; charset=utf-8', body: JSON.stringify(problem) },
    requestTimeoutMs: 60_000,
    socketTimeoutMs: 10_000,
    keepAliveTimeoutMs: 5000,
    onError: error => log.error('connections to the management port cannot be accepted', { error: error.message }),
  });
  const { MANAGEMENT_TOKEN: token } = settings;
  if (token === undefined) return;
  app.use('/api/v1', bearer(token));
  // Parse bodies of any content type: ignoring one would turn a dry run into a real one.
  app.useBodyParser('json', { limit: maxBodyBytes, type: () => true });
  // Built at the first request, so that it does not delay the start.
  SwaggerModule.setup('docs', app, () => openApiOf(app), { raw: ['json'], customSiteTitle: 'channel-sync' });
}
