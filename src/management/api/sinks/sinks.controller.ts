import { Body, ConflictException, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { Checks } from '../../../checks/checks.js';
import { inEnglish } from '../../../explanations/explanation.js';
import { SharedClock } from '../../../process/clock.js';
import { wellFormed } from '../../../channel/origin.js';
import { Database } from '../../../database/database.js';
import { type Job, type RebuildProgress, type VerifyProgress, findJob } from '../../../search-index/index-job.js';
import { ServedSinks } from '../../../sinks/served-sinks.js';
import { AdminActions } from '../../admin-actions.js';
import type { SinkAction } from '../../pause.js';
import { PageQuery, afterCursor, pageFrom } from '../list.dto.js';
import { Action } from '../options.guard.js';
import { toDate, toDateOrNull } from '../values.js';
import { CheckDto, JobDto, RebuildStateDto, SinkDto, SinkPageDto, TestDto, VerifyDto, VerifyStateDto } from './sink.dto.js';
import { notConfigured, showSinks, sinkNamed, sinkStates } from './sinks.queries.js';

/** The sinks that are or were configured. */
@Controller('api/v1/sinks')
export class SinksController {
  constructor(
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly actions: AdminActions,
    private readonly checks: Checks,
    private readonly served: ServedSinks,
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
  @Action(':name/pause')
  pause(@Param('name') name: string): Promise<SinkDto> {
    return this.act('pause', name);
  }

  /** Resume a paused sink; the time paused does not count towards RETRY_MAX_AGE */
  @Action(':name/resume')
  resume(@Param('name') name: string): Promise<SinkDto> {
    return this.act('resume', name);
  }

  /** Retry a stopped sink at once, without waiting for the next scheduled probe */
  @Action(':name/probe')
  probe(@Param('name') name: string): Promise<SinkDto> {
    return this.act('probe', name);
  }

  /** Check a sink without sending or writing anything, and update its state @throws {409} The sink is no longer configured */
  @Action(':name/check')
  async check(@Param('name') name: string): Promise<CheckDto> {
    const { problems, durationMs } = (await this.checks.check(name)) ?? (await this.unserved(name));
    const shown = problems.map(({ reason, advice }) => ({ problem: inEnglish(reason), advice: inEnglish(advice) }));
    return { ok: shown.length === 0, problems: shown, durationMs };
  }

  /** Send a sample change, marked as a test, to this sink only; nothing of it is stored @throws {409} The sink is no longer configured */
  @Action(':name/test')
  async test(@Param('name') name: string): Promise<TestDto> {
    return (await this.checks.test(name, 'api')) ?? this.unserved(name);
  }

  /**
   * Compare the index of a search sink with the store
   * @remarks Starts unless it is already running; starts again if repair is requested and the running one does not repair.
   * @throws {409} The sink is not a search sink
   */
  @Post(':name/verify')
  @HttpCode(202)
  async beginVerify(@Param('name') name: string, @Body() { repair }: VerifyDto): Promise<VerifyStateDto> {
    await this.actions.beginJob(await this.searchSink(name), name, 'verify', repair ?? false, 'api');
    return this.verify(name);
  }

  /** Get the progress and result of the latest comparison @throws {409} The sink is not a search sink */
  @Get(':name/verify')
  async verify(@Param('name') name: string): Promise<VerifyStateDto> {
    const job = await findJob<VerifyProgress>(this.database, await this.searchSink(name), 'verify');
    const { compared = 0, missing = 0, older = 0, newer = 0, surplus = 0, repaired = 0, examples = [] } = job?.progress ?? {};
    return { ...showJob(job), compared, missing, older, newer, surplus, repaired, examples };
  }

  /**
   * Rebuild the index of a search sink beside the current one, then switch to the new one
   * @remarks Starts unless it is already running.
   * @throws {409} The sink is not a search sink
   */
  @HttpCode(202)
  @Action(':name/rebuild')
  async beginRebuild(@Param('name') name: string): Promise<RebuildStateDto> {
    await this.actions.beginJob(await this.searchSink(name), name, 'rebuild', false, 'api');
    return this.rebuild(name);
  }

  /** Get the progress of the latest rebuild @throws {409} The sink is not a search sink */
  @Get(':name/rebuild')
  async rebuild(@Param('name') name: string): Promise<RebuildStateDto> {
    const job = await findJob<RebuildProgress>(this.database, await this.searchSink(name), 'rebuild');
    const { done = 0, total = 0, index = null } = job?.progress ?? {};
    return { ...showJob(job), done, total, index };
  }

  private async act(action: SinkAction, name: string): Promise<SinkDto> {
    await this.actions[action](wellFormed(name), 'api');
    const [shown] = await showSinks(this.database, [await sinkNamed(this.database, name, this.clock.now())]);
    return shown!;
  }

  private async searchSink(name: string): Promise<number> {
    const found = this.served.searches.find(sink => sink.name === name);
    if (found) return found.id;
    await sinkNamed(this.database, name, this.clock.now());
    throw new ConflictException('only a search sink that is configured has an index');
  }

  /** @throws an error that says why this process does not serve the sink */
  private async unserved(name: string): Promise<never> {
    await sinkNamed(this.database, name, this.clock.now());
    throw notConfigured();
  }
}

function showJob(job: Job<unknown> | null): JobDto {
  if (!job) return { state: 'idle', startedAt: null, finishedAt: null, error: null };
  return { state: job.state, startedAt: toDate(job.startedAt), finishedAt: toDateOrNull(job.finishedAt), error: job.error };
}
