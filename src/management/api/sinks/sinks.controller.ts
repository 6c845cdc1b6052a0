import { ConflictException, Controller, Get, HttpCode, NotFoundException, Param, Post, Query, UseGuards } from '@nestjs/common';
import { Checks } from '../../../checks/checks.js';
import { inEnglish } from '../../../explanations/explanation.js';
import { SharedClock } from '../../../process/clock.js';
import { wellFormed } from '../../../channel/origin.js';
import { Database } from '../../../database/database.js';
import { AdminActions } from '../../admin-actions.js';
import { type SinkStatus, sinkStates } from '../../sink-states.js';
import { PageQuery, afterCursor, pageFrom } from '../list.dto.js';
import { noOptions } from '../options.guard.js';
import { CheckDto, SinkDto, SinkPageDto, TestDto } from './sink.dto.js';
import { showSinks } from './sinks.queries.js';

/** The sinks that are or were configured. */
@Controller('api/v1/sinks')
@UseGuards(noOptions)
export class SinksController {
  constructor(
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly actions: AdminActions,
    private readonly checks: Checks,
  ) {}

  /** List sinks with their state and delivery counts, latest first */
  @Get()
  async list(@Query() { limit, cursor }: PageQuery): Promise<SinkPageDto> {
    const after = afterCursor(cursor, id => (/^\d{1,15}$/.test(id) ? Number(id) : null));
    const sinks = (await sinkStates(this.database, this.clock.now())).filter(({ id }) => after === null || id < after);
    const { nextCursor, items } = pageFrom(sinks, limit, ({ id }) => String(id));
    return { items: await showSinks(this.database, items), nextCursor };
  }

  /** Pause a sink on all replicas, also across restarts; its deliveries are queued */
  @Post(':name/pause')
  @HttpCode(200)
  async pause(@Param('name') name: string): Promise<SinkDto> {
    return this.shown(name, await this.actions.pause(wellFormed(name), 'api'));
  }

  /** Resume a paused sink; the time paused does not count towards RETRY_MAX_AGE */
  @Post(':name/resume')
  @HttpCode(200)
  async resume(@Param('name') name: string): Promise<SinkDto> {
    return this.shown(name, await this.actions.resume(wellFormed(name), 'api'));
  }

  /** Retry a stopped sink at once, without waiting for the next scheduled probe */
  @Post(':name/probe')
  @HttpCode(200)
  async probe(@Param('name') name: string): Promise<SinkDto> {
    return this.shown(name, await this.actions.probe(wellFormed(name), 'api'));
  }

  /** Check a sink without sending or writing anything, and update its state @throws {409} The sink is no longer configured */
  @Post(':name/check')
  @HttpCode(200)
  async check(@Param('name') name: string): Promise<CheckDto> {
    const { problems, durationMs } = (await this.checks.check(name)) ?? (await this.unserved(name));
    const shown = problems.map(({ reason, advice }) => ({ problem: inEnglish(reason), advice: inEnglish(advice) }));
    return { ok: shown.length === 0, problems: shown, durationMs };
  }

  /** Send a sample change, marked as a test, to this sink only; nothing of it is stored @throws {409} The sink is no longer configured */
  @Post(':name/test')
  @HttpCode(200)
  async test(@Param('name') name: string): Promise<TestDto> {
    return (await this.checks.test(name, 'api')) ?? this.unserved(name);
  }

  /** @throws an error that says why this process does not serve the sink */
  private async unserved(name: string): Promise<never> {
    await this.find(wellFormed(name));
    throw new ConflictException('this sink is no longer configured: declare it again to use it');
  }

  /** @param done the result of the action; `null` if there is no such sink */
  private async shown(name: string, done: boolean | null): Promise<SinkDto> {
    if (done === null) throw noSuchSink();
    const [shown] = await showSinks(this.database, [await this.find(wellFormed(name))]);
    return shown!;
  }

  private async find(name: string): Promise<SinkStatus> {
    const sinks = await sinkStates(this.database, this.clock.now());
    const sink = sinks.find(sink => sink.name === name);
    if (!sink) throw noSuchSink();
    return sink;
  }
}

const noSuchSink = (): NotFoundException => new NotFoundException('no sink has this name');
