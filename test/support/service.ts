import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from '../../src/app.module.js';
import { Database } from '../../src/database/database.js';
import { EngineEvents } from '../../src/process/engine-events.js';
import { Log } from '../../src/process/log.js';
import { startService } from '../../src/service.js';
import { expectNoSecret, plant } from './planted.js';

/** The real AppModule with both ports, in this process. What it writes must not hold a secret; of that only errors are shown. */
export async function startTestService(environment: Record<string, string>) {
  const spool = mkdtempSync(join(tmpdir(), 'channel-sync-spool-'));
  const output = captureOutput();
  const all = {
    SDK_APP_IDS: '1400000001',
    PORT: '0',
    MANAGEMENT_PORT: '0',
    HOST: '127.0.0.1',
    LOG_LEVEL: 'debug',
    SPOOL_DIR: spool,
    ...plant(environment),
  };
  const app = await NestFactory.create<NestExpressApplication>(AppModule.with(all), {
    bodyParser: false,
    abortOnError: false,
    logger: false,
  });
  app.useLogger(app.get(Log));
  const service = await startService(app);
  return {
    url: `http://127.0.0.1:${service.port}`,
    managementUrl: `http://127.0.0.1:${service.managementPort}`,
    database: app.get(Database),
    events: app.get(EngineEvents),
    /** @returns what it wrote */
    stop: async (): Promise<string> => {
      const stop = service.stop();
      stop.hurry();
      await stop.done;
      rmSync(spool, { recursive: true, force: true });
      const log = output.end();
      expectNoSecret(log);
      return log;
    },
  };
}

/** Takes the lines that the service writes; what is no line of its, such as the test runner's own words, goes on. */
function captureOutput(): { end: () => string } {
  const lines: string[] = [];
  const write = process.stdout.write.bind(process.stdout);
  function take(chunk: Uint8Array | string, ...rest: never[]): boolean {
    const text = String(chunk);
    if (!text.startsWith('{"level":')) return write(chunk, ...rest);
    lines.push(text);
    if (text.startsWith('{"level":"error"')) return write(chunk, ...rest);
    (rest.at(-1) as (() => void) | undefined)?.();
    return true;
  }
  process.stdout.write = take;
  const end = (): string => {
    process.stdout.write = write;
    return lines.join('');
  };
  return { end };
}

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** One request, sent as it is told: raw body, any header, any query. The answer must not hold a secret. */
export function send(method: string, url: string, body?: Uint8Array | string, headers: Record<string, string> = {}): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers, agent: false }, response => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const answer = { status: response.statusCode!, headers: response.headers, text: Buffer.concat(chunks).toString() };
        try {
          expectNoSecret(JSON.stringify(answer));
          resolve(answer);
        } catch (error) {
          reject(error as Error);
        }
      });
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}
