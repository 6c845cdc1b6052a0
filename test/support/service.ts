import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from '../../src/app.module.js';
import { Database } from '../../src/database/database.js';
import { Log } from '../../src/operations/log.js';
import { startService } from '../../src/service.js';

/** The real AppModule with both ports, in this process. */
export async function startTestService(environment: Record<string, string>) {
  const spool = mkdtempSync(join(tmpdir(), 'channel-sync-spool-'));
  const all = {
    SDK_APP_IDS: '1400000001',
    PORT: '0',
    MANAGEMENT_PORT: '0',
    HOST: '127.0.0.1',
    LOG_LEVEL: 'error',
    SPOOL_DIR: spool,
    ...environment,
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
    stop: async (): Promise<void> => {
      const stop = service.stop();
      stop.hurry();
      await stop.done;
      rmSync(spool, { recursive: true, force: true });
    },
  };
}

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** One request, sent as it is told: raw body, any header, any query. */
export function send(method: string, url: string, body?: Uint8Array | string, headers: Record<string, string> = {}): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers, agent: false }, response => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, text: Buffer.concat(chunks).toString() }),
      );
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}
