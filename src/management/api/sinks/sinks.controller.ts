import { ConflictException, Controller, Get, HttpCode, NotFoundException, Param, Post, Query } from '@nestjs/common';
import { Checks } from '../../../checks/checks.js';
import { inEnglish } from '../../../explanations/explanation.js';
import { SharedClock } from '../../../process/clock.js';
import { wellFormed } from '../../../channel/origin.js';
import { Database } from '../../../database/database.js';
import { AdminActions } from '../../admin-actions.js';
import { sinkStates } from '../../sink-states.js';
import { PageQuery, afterCursor, pageFrom } from '../list.dto.js';
import { CheckDto, SinkDto, SinkPageDto, TestDto } from './sink.dto.js';
import { showSinks } from './sinks.queries.js';

/** The sinks that are or were configured. */
@Controller('api/v1/sinks')
export class SinksController {
  constructor(
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly actions: AdminActions,
    private readonly checks: Checks,
  ) {}

  /** Sinks with their state and accounts, the newest first */
  @Get()
  async list(@Query() { limit, cursor }: PageQuery): Promise<SinkPageDto> {
    const after = afterCursor(cursor, id => (/^\d{1,15}$/.test(id) ? Number(id) : null));
    const sinks = (await sinkStates(this.database, this.clock.now())).filter(({ id }) => after === null || id < after);
    const { nextCursor, items } = pageFrom(sinks, limit, ({ id }) => String(id));
    return { items: await showSinks(this.database, items), nextCursor };
  }

  /** Stop a sink on all replicas, across restarts; what it is owed waits */
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

  /** Retry a stopped sink at once, and not only at its next turn */
  @Post(':name/probe')
  @HttpCode(200)
  async probe(@Param('name') name: string): Promise<SinkDto> {
    return this.shown(name, await this.actions.probe(wellFormed(name), 'api'));
  }

  /** Check a sink: nothing is sent or written. What is found is its state @throws {409} The sink is not configured any more */
  @Post(':name/check')
  @HttpCode(200)
  async check(@Param('name') name: string): Promise<CheckDto> {
    const { problems, durationMs } = (await this.checks.check(name)) ?? (await this.unserved(name));
    const shown = problems.map(({ reason, advice }) => ({ problem: inEnglish(reason), advice: inEnglish(advice) }));
    return { ok: shown.length === 0, problems: shown, durationMs };
  }

  /** Send a sample change to this sink alone, marked as a test; of it nothing is kept @throws {409} The sink is not configured any more */
  @Post(':name/test')
  @HttpCode(200)
  async test(@Param('name') name: string): Promise<TestDto> {
    return (await this.checks.test(name, 'api')) ?? this.unserved(name);
  }

  /** Of a sink that this process does not serve. */
  private async unserved(name: string): Promise<never> {
    await this.shown(wellFormed(name), true);
    throw new ConflictException('this sink is no longer configured: declare it again to use it');
  }

  private async shown(name: string, done: boolean | null): Promise<SinkDto> {
    const sinks = done === null ? [] : await sinkStates(this.database, this.clock.now());
    const [shown] = await showSinks(
      this.database,
      sinks.filter(one => one.name === name),
    );
    if (!shown) throw new NotFoundException('no sink has this name');
    return shown;
  }
}
