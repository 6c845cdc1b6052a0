import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Engine } from './engine.js';
import { ManagementModule, configureManagement } from './management/management.module.js';
import { Readiness } from './management/readiness.js';
import { Log } from './process/log.js';
import { Settings } from './settings/settings.js';
import { configurePublic, requestTimeoutMs } from './webhook/public-port.js';

/** Load balancers need this long to look away after readiness is gone. */
const preStopDelayMs = 5000;
/** What requests under way get to be answered before their connections are cut. */
const webhookGraceMs = requestTimeoutMs + 2000;
const managementGraceMs = 3000;
/** How often connections that are through with their request are looked for while a port closes. */
const sweepEveryMs = 100;

/** A stop under way. */
export interface Stop {
  /** Skips the rest of the wait for load balancers. */
  hurry(): void;
  done: Promise<void>;
}

/** Ports that cannot be listened on; the message names their variables, a line each. */
export class UnusablePort extends Error {}

/** The running service. */
export interface Service {
  port: number;
  managementPort: number;
  /** Not ready at once, then takes webhooks for 5 s more, then ends what is under way and closes everything within 25 s. */
  stop(): Stop;
}

/**
 * Starts all that the module wires: tables, workers, both ports.
 * @throws UnusablePort, UnusableDatabase, and whatever the embedded store says; for PostgreSQL that does not answer the ports wait two seconds at most
 */
export async function startService(app: NestExpressApplication): Promise<Service> {
  const [settings, log, readiness, engine] = [app.get(Settings), app.get(Log), app.get(Readiness), app.get(Engine)];
  readiness.closed = 'starting';
  for (const warning of settings.warnings) log.warn(warning);
  const keeping = await engine.start();
  const management = await NestFactory.create<NestExpressApplication>(ManagementModule.beside(app), { logger: log, abortOnError: false });
  configureManagement(management);
  await configurePublic(app);
  await keeping();
  const mistaken = await listen(
    management,
    'MANAGEMENT_PORT',
    settings.MANAGEMENT_HOST === undefined ? 'HOST' : 'MANAGEMENT_HOST',
    settings,
  );
  // Webhooks come last, so that nothing has been taken if one of the ports cannot be had: then the other is only tried.
  const tried = { listen: (port: number, host: string) => once(createServer().listen(port, host), 'listening') };
  const mistakes = [mistaken, await listen(mistaken === null ? app : tried, 'PORT', 'HOST', settings)].filter(one => one !== null);
  if (mistakes.length > 0) throw new UnusablePort([...new Set(mistakes)].join('\n'));
  readiness.closed = null;
  const [port, managementPort] = [portOf(app), portOf(management)];
  log.info('listening', { port, managementPort, path: settings.WEBHOOK_PATH, sinks: settings.sinks.map(sink => sink.name) });

  const stop = (): Stop => {
    const hurry = new AbortController();
    readiness.closed = 'draining';
    const done = (async () => {
      await sleep(preStopDelayMs, undefined, { signal: hurry.signal }).catch(() => undefined);
      await Promise.all([closePort(app, webhookGraceMs), engine.drain()]);
      await Promise.all([engine.stopIntake(), closePort(management, managementGraceMs)]);
      await engine.close();
      log.info('stopped');
    })();
    return { hurry: () => hurry.abort(), done };
  };
  return { port, managementPort, stop };
}

/** @returns what is wrong with the port's variables if it cannot be listened on */
async function listen(
  server: { listen(port: number, host: string): Promise<unknown> },
  port: 'PORT' | 'MANAGEMENT_PORT',
  host: 'HOST' | 'MANAGEMENT_HOST',
  settings: Settings,
): Promise<string | null> {
  try {
    await server.listen(settings[port], settings[host]!);
    return null;
  } catch (error) {
    const { code = '', syscall } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') return `${port}: port ${settings[port]} is taken (${code})`;
    if (code === 'EACCES') return `${port}: port ${settings[port]} may not be used (${code})`;
    // A name that cannot be looked up, and what the system says of addresses that it cannot bind.
    if (syscall === 'getaddrinfo' || ['EADDRNOTAVAIL', 'EINVAL', 'EAFNOSUPPORT'].includes(code))
      return `${host} is no address of this machine (${code})`;
    throw error;
  }
}

/** Takes no more connections, and closes each that there is once its request is answered, all of them after `graceMs`. */
async function closePort(app: NestExpressApplication, graceMs: number): Promise<void> {
  const server = app.getHttpServer() as Server;
  // Node closes those that are idle once, and would leave one that is answered after that open for as long as it is kept alive.
  const sweep = setInterval(() => server.closeIdleConnections(), sweepEveryMs);
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await app.close();
  clearInterval(sweep);
  clearTimeout(cut);
}

function portOf(app: NestExpressApplication): number {
  return ((app.getHttpServer() as Server).address() as AddressInfo).port;
}
