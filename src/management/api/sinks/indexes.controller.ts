import { Body, ConflictException, Controller, Get, HttpCode, NotFoundException, Param, Post, UseGuards } from '@nestjs/common';
import { wellFormed } from '../../../channel/origin.js';
import { Database } from '../../../database/database.js';
import { ServedSinks } from '../../../sinks/served-sinks.js';
import { type Job, type RebuildProgress, type VerifyProgress, findJob } from '../../../search-index/index-job.js';
import { AdminActions } from '../../admin-actions.js';
import { JobDto, RebuildStateDto, VerifyDto, VerifyStateDto } from './index-job.dto.js';
import { noOptions } from '../options.guard.js';
import { toDate, toDateOrNull } from '../times.js';

/** Verifies and rebuilds the indexes of search sinks. */
@Controller('api/v1/sinks')
export class IndexesController {
  constructor(
    private readonly database: Database,
    private readonly served: ServedSinks,
    private readonly actions: AdminActions,
  ) {}

  /**
   * Compare the index of a search sink with the store
   * @remarks Starts unless it is already running; starts again if repair is requested and the running one does not repair.
   * @throws {409} The sink is not a search sink
   */
  @Post(':name/verify')
  @HttpCode(202)
  async beginVerify(@Param('name') name: string, @Body() { repair }: VerifyDto): Promise<VerifyStateDto> {
    const { id } = await this.sink(name);
    await this.actions.beginJob(id, name, 'verify', repair ?? false, 'api');
    return this.verifyState(id);
  }

  /** Get the progress and result of the latest comparison @throws {409} The sink is not a search sink */
  @Get(':name/verify')
  async verify(@Param('name') name: string): Promise<VerifyStateDto> {
    return this.verifyState((await this.sink(name)).id);
  }

  /**
   * Rebuild the index of a search sink beside the current one, then switch to the new one
   * @remarks Starts unless it is already running.
   * @throws {409} The sink is not a search sink
   */
  @Post(':name/rebuild')
  @HttpCode(202)
  @UseGuards(noOptions)
  async beginRebuild(@Param('name') name: string): Promise<RebuildStateDto> {
    const { id } = await this.sink(name);
    await this.actions.beginJob(id, name, 'rebuild', false, 'api');
    return this.rebuildState(id);
  }

  /** Get the progress of the latest rebuild @throws {409} The sink is not a search sink */
  @Get(':name/rebuild')
  async rebuild(@Param('name') name: string): Promise<RebuildStateDto> {
    return this.rebuildState((await this.sink(name)).id);
  }

  private async sink(name: string): Promise<{ id: number }> {
    const found = this.served.searches.find(sink => sink.name === name);
    if (found) return found;
    const other = await this.database.kysely
      .selectFrom('sink')
      .select('type')
      .where('name', '=', wellFormed(name))
      .limit(1)
      .executeTakeFirst();
    if (!other) throw new NotFoundException('no sink has this name');
    throw new ConflictException('only a search sink that is configured has an index');
  }

  private async verifyState(sink: number): Promise<VerifyStateDto> {
    const job = await findJob<VerifyProgress>(this.database, sink, 'verify');
    const { compared = 0, missing = 0, older = 0, newer = 0, surplus = 0, repaired = 0, examples = [] } = job?.progress ?? {};
    return { ...shown(job), compared, missing, older, newer, surplus, repaired, examples };
  }

  private async rebuildState(sink: number): Promise<RebuildStateDto> {
    const job = await findJob<RebuildProgress>(this.database, sink, 'rebuild');
    const { done = 0, total = 0, index = null } = job?.progress ?? {};
    return { ...shown(job), done, total, index };
  }
}

function shown(job: Job<unknown> | null): JobDto {
  if (!job) return { state: 'idle', startedAt: null, finishedAt: null, error: null };
  return { state: job.state, startedAt: toDate(job.startedAt), finishedAt: toDateOrNull(job.finishedAt), error: job.error };
}
