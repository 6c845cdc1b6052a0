import { BadRequestException, Body, Controller, HttpCode, Post } from '@nestjs/common';
import { AdminActions } from '../../admin-actions.js';
import { ReplayDto, ReplayedDto } from './replay.dto.js';

/** Replays of deliveries. */
@Controller('api/v1/replays')
export class ReplaysController {
  constructor(private readonly actions: AdminActions) {}

  /** Replay parked (or otherwise ended) deliveries under the same ids; at least one filter is required */
  @Post()
  @HttpCode(202)
  async replay(@Body() { dryRun = false, ...selection }: ReplayDto): Promise<ReplayedDto> {
    if (Object.values(selection).every(value => value === undefined))
      throw new BadRequestException('give at least one of sink, sdkAppId, channelId, changeId, state, since, until');
    return this.actions.replay(selection, dryRun, 'api');
  }
}
