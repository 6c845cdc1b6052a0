import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, type Server as NetServer, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { outage } from './database/outage.js';
import { Engine } from './engine.js';
import { ManagementModule, configureManagement } from './management/management.module.js';
import { Readiness } from './management/readiness.js';
import { EngineEvents } from './process/engine-events.js';
import { Log } from './process/log.js';
import { watchDescriptors } from './process/sockets.js';
import { SettingsError } from './settings/environment.js';
import { Settings } from './settings/settings.js';
import { configurePublic, requestTimeoutMs } from './webhook/public-port.js';

/** After readiness fails, load balancers need this long to stop sending requests. */
const preStopDelayMs = 5000;
/** How long running requests may take to finish before their connections are closed. */
const webhookGraceMs = requestTimeoutMs + 2000;
const managementGraceMs = 3000;
/** While a port closes, how often idle connections are closed. */
const sweepIntervalMs = 100;

/** A shutdown in progress. */
export interface Stop {
  /** Skips the rest of the wait for load balancers. */
  hurry(): void;
  done: Promise<void>;
}

export interface Service {
  port: number;
  managementPort: number;
  /** Fails readiness at once, accepts webhooks for another 5 s, then finishes running work and closes everything within 25 s. */
  stop(): Stop;
}

/**
 * Starts the service: tables, workers, both ports. Waits at most two seconds for PostgreSQL.
 * @throws SettingsError if a port cannot be opened, UnusableDatabase, or SQLite's error
 */
export async function startService(app: NestExpressApplication): Promise<Service> {
  const [settings, log, readiness, engine] = [app.get(Settings), app.get(Log), app.get(Readiness), app.get(Engine)];
  readiness.closed = 'starting';
  for (const warning of settings.warnings) log.warn(warning);
  const untilWebhooksCanBeStored = await engine.start();
  const management = await NestFactory.create<NestExpressApplication>(ManagementModule.beside(app), { logger: log, abortOnError: false });
  configureManagement(management);
  await management.init();
  await configurePublic(app);
  await untilWebhooksCanBeStored();
  const managementHost = settings.MANAGEMENT_HOST === undefined ? 'HOST' : 'MANAGEMENT_HOST';
  const managementProblem = await listen(management.getHttpServer() as Server, 'MANAGEMENT_PORT', managementHost, settings);
  // The public port comes last, so that no webhook is accepted if a port is unusable: in that case it is only probed.
  const publicServer = managementProblem === null ? (app.getHttpServer() as Server) : createServer();
  const publicProblem = await listen(publicServer, 'PORT', 'HOST', settings);
  const problems = [managementProblem, publicProblem].filter(problem => problem !== null);
  if (problems.length > 0) throw new SettingsError([...new Set(problems)]);
  readiness.closed = null;
  const [port, managementPort] = [portOf(app), portOf(management)];
  log.info('listening', { port, managementPort, path: settings.WEBHOOK_PATH, sinks: settings.sinks.map(sink => sink.name) });

  const descriptors = outage(
    (_, { message: error }) =>
      log.error('connections cannot be accepted', { error, advice: 'If it lasts, raise the limit (ulimit -n) and restart' }),
    () => log.info('connections can be accepted again'),
  );
  watchDescriptors(app.getHttpServer() as Server, descriptors);

  const stop = (): Stop => {
    const hurry = new AbortController();
    readiness.closed = 'draining';
    let cancelled = 0;
    app.get(EngineEvents).on('attempt', ({ outcome }) => (cancelled += Number(outcome === 'cancelled')));
    const done = (async () => {
      await sleep(preStopDelayMs, undefined, { signal: hurry.signal }).catch(() => undefined);
      await Promise.all([closePort(app, webhookGraceMs), engine.drain()]);
      await Promise.all([engine.stopIntake(), closePort(management, managementGraceMs)]);
      await engine.close();
      log.info('stopped', { cancelledAttempts: cancelled });
    })();
    return { hurry: () => hurry.abort(), done };
  };
  return { port, managementPort, stop };
}

/** Opens a port without Nest, which would log a failure as well. @returns the problem with the port's settings, `null` if it listens */
async function listen(
  server: NetServer,
  port: 'PORT' | 'MANAGEMENT_PORT',
  host: 'HOST' | 'MANAGEMENT_HOST',
  settings: Settings,
): Promise<string | null> {
  try {
    await once(server.listen(settings[port], settings[host]!), 'listening');
    return null;
  } catch (error) {
    const { code = '', syscall } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') return `${port}: port ${settings[port]} is taken (${code})`;
    if (code === 'EACCES') return `${port}: port ${settings[port]} may not be used (${code})`;
    // A host name that cannot be resolved, or an address that cannot be bound.
    if (syscall === 'getaddrinfo' || ['EADDRNOTAVAIL', 'EINVAL', 'EAFNOSUPPORT'].includes(code))
      return `${host} is no address of this machine (${code})`;
    throw error;
  }
}

/** Stops accepting connections, closes each one once its request is answered, and the rest after `graceMs`. */
async function closePort(app: NestExpressApplication, graceMs: number): Promise<void> {
  const server = app.getHttpServer() as Server;
  // Node closes idle connections only once; one that becomes idle later would stay open until its keep-alive timeout.
  const sweep = setInterval(() => server.closeIdleConnections(), sweepIntervalMs);
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await app.close();
  clearInterval(sweep);
  clearTimeout(cut);
}

function portOf(app: NestExpressApplication): number {
  return ((app.getHttpServer() as Server).address() as AddressInfo).port;
}
