import { BadRequestException, Body, Post, ValidationPipe } from '@nestjs/common';
import { ApiBody } from '@nestjs/swagger';
import { AdminActions } from '../../admin-actions.js';
import { Api, ApiProblem, Call } from '../api.decorator.js';
import { ReplayDto, ReplayedDto } from './replay.dto.js';

/** A misspelled selector must not select everything. */
const strict = new ValidationPipe({ expectedType: ReplayDto, transform: true, whitelist: true, forbidNonWhitelisted: true });

/** Sending once more. */
@Api('replays')
export class ReplaysController {
  constructor(private readonly actions: AdminActions) {}

  @Call(Post(), 'Send parked (or otherwise ended) deliveries once more, under the same ids', ReplayedDto, 202)
  @ApiBody({ type: ReplayDto })
  @ApiProblem(400, 'A selector is not what it should be, or none is given')
  async replay(@Body(strict) body: object): Promise<ReplayedDto> {
    const { dryRun = false, ...selection } = body as ReplayDto;
    if (Object.values(selection).every(value => value === undefined))
      throw new BadRequestException('give at least one of sink, sdkAppId, channelId, changeId, state, since, until');
    return this.actions.replay(selection, dryRun, 'api');
  }
}
