import { Controller, Get, Res } from '@nestjs/common';
import { ApiOperation, ApiProduces, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import type { Registry } from 'prom-client';
import { bounded } from '../outgoing/within.js';
import { Log } from '../process/log.js';
import { Metrics } from './metrics.js';
import { Readiness } from './readiness.js';

/** How long a metric may take to be collected: scrapers give up after 10 s. */
const collectWithinMs = 5000;

/** Probes and metrics; open, since the management port is not for the outside. */
@ApiTags('health')
@Controller()
export class HealthController {
  constructor(
    private readonly readiness: Readiness,
    private readonly metrics: Metrics,
    private readonly log: Log,
  ) {}

  @Get('livez')
  @ApiOperation({ summary: '200 while the process works' })
  live(): { status: string } {
    return { status: 'ok' };
  }

  @Get('readyz')
  @ApiOperation({ summary: '200 if webhooks can be kept; sinks never matter' })
  @ApiResponse({ status: 200, description: 'webhooks can be kept' })
  @ApiResponse({ status: 503, description: 'webhooks cannot be kept, or the service is draining' })
  async ready(@Res({ passthrough: true }) response: Response): Promise<{ status: string; reason: string | null }> {
    const reason = await this.readiness.reason();
    response.status(reason === null ? 200 : 503);
    return { status: reason === null ? 'ready' : 'not ready', reason };
  }

  /** What needs the database is left out while that does not answer. */
  @Get('metrics')
  @ApiOperation({ summary: 'Metrics for Prometheus' })
  @ApiProduces('text/plain')
  async scrape(@Res({ passthrough: true }) response: Response): Promise<string> {
    const { registry } = this.metrics;
    response.type(registry.contentType);
    const names = registry.getMetricsAsArray().map(({ name }) => name);
    const texts = await Promise.all(names.map(name => this.textOf(registry, name)));
    return `${texts.filter(text => text !== null).join('\n\n')}\n`;
  }

  /** One by one: while the database is away the others are wanted most. */
  private async textOf(registry: Registry, name: string): Promise<string | null> {
    try {
      return await bounded(() => registry.getSingleMetricAsString(name), collectWithinMs, new AbortController().signal);
    } catch (error) {
      this.log.debug('a metric could not be collected', { metric: name, error: (error as Error).message });
      return null;
    }
  }
}
