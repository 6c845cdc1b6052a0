import { Controller, Get, Res } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { bounded } from '../outgoing/within.js';
import { Log } from '../process/log.js';
import { Metrics } from './metrics.js';
import { Readiness } from './readiness.js';

/** Timeout for collecting a metric; must be below the 10 s after which scrapers give up. */
const collectTimeoutMs = 5000;

/** Probes and metrics, without authentication because the management port is internal. */
@ApiTags('health')
@Controller()
export class HealthController {
  constructor(
    private readonly readiness: Readiness,
    private readonly metrics: Metrics,
    private readonly log: Log,
  ) {}

  @Get('livez')
  @ApiOperation({ summary: 'Liveness probe: 200 while the process works' })
  live(): { status: string } {
    return { status: 'ok' };
  }

  @Get('readyz')
  @ApiOperation({ summary: 'Readiness probe: 200 if webhooks can be recorded, whatever the state of the sinks' })
  @ApiResponse({ status: 200, description: 'Webhooks can be recorded' })
  @ApiResponse({ status: 503, description: 'Webhooks cannot be recorded, or the service is draining' })
  async ready(@Res({ passthrough: true }) response: Response): Promise<{ status: string; reason: string | null }> {
    const reason = await this.readiness.reason();
    response.status(reason === null ? 200 : 503);
    return { status: reason === null ? 'ready' : 'not ready', reason };
  }

  /** Metrics that need the database are omitted while it does not answer. */
  @Get('metrics')
  @ApiOperation({ summary: 'Metrics for Prometheus' })
  @ApiProduces('text/plain')
  async scrape(@Res({ passthrough: true }) response: Response): Promise<string> {
    const { registry } = this.metrics;
    response.type(registry.contentType);
    // Collected separately, so that a failing metric does not hide the others.
    const collected = registry.getMetricsAsArray().map(async ({ name }) => {
      try {
        return await bounded(() => registry.getSingleMetricAsString(name), collectTimeoutMs, new AbortController().signal);
      } catch (error) {
        this.log.debug('a metric could not be collected', { metric: name, error: (error as Error).message });
        return [];
      }
    });
    return `${(await Promise.all(collected)).flat().join('\n\n')}\n`;
  }
}
