import { BadRequestException, Body, HttpCode, Inject, Post, ValidationPipe } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiResponse } from '@nestjs/swagger';
import { Clock } from '../../clock.js';
import { Database } from '../../database/database.js';
import { replay } from '../../delivery/replay.js';
import { recordAction } from '../audit.js';
import { Log } from '../log.js';
import { Api, ApiProblem } from './api.decorator.js';
import { selectedChanges } from './changes.queries.js';
import { storable } from './list.dto.js';
import { ReplayDto, ReplayedDto } from './replay.dto.js';
import { Waker } from './sinks.controller.js';

/** A misspelled selector must not select everything. */
const strict = new ValidationPipe({ expectedType: ReplayDto, transform: true, whitelist: true, forbidNonWhitelisted: true });

/** Sending once more. */
@Api('replays')
export class ReplaysController {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Log) private readonly log: Log,
    @Inject(Waker) private readonly waker: Waker,
  ) {}

  /** Sends ended deliveries once more, under the same ids. 400 without any selector. */
  @Post()
  @HttpCode(202)
  @ApiOperation({ summary: 'Send parked (or otherwise ended) deliveries once more, under the same ids' })
  @ApiBody({ type: ReplayDto })
  @ApiResponse({ status: 202, type: ReplayedDto })
  @ApiProblem(400, 'A selector is not what it should be, or none is given')
  async replay(@Body(strict) body: object): Promise<ReplayedDto> {
    const { dryRun = false, ...selectors } = body as ReplayDto;
    const { sink, changeId, state, ...ofChanges } = selectors;
    if (Object.values(selectors).every(value => value === undefined))
      throw new BadRequestException('give at least one of sink, sdkAppId, channelId, changeId, state, since, until');
    const told = { actor: 'api', action: 'replay', details: selectors } as const;
    if (!dryRun) await recordAction(this.database.kysely, { at: this.clock.now(), ...told });
    const counts = await replay(
      this.database,
      {
        sink: sink === undefined ? null : storable(sink),
        changeId: changeId === undefined ? null : storable(changeId),
        state: state ?? 'parked',
        changes: selectedChanges(this.database, ofChanges),
      },
      dryRun,
      () => this.clock.now(),
      sinks => this.waker.wake(sinks),
    );
    if (!dryRun) this.log.info('deliveries replayed', { by: 'api', ...selectors, ...counts });
    return counts;
  }
}
