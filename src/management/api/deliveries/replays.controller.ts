import { BadRequestException, Body, Controller, HttpCode, Post, ValidationPipe } from '@nestjs/common';
import { ApiBody } from '@nestjs/swagger';
import { AdminActions } from '../../admin-actions.js';
import { ReplayDto, ReplayedDto } from './replay.dto.js';

/** A misspelled selector must not select everything. */
const strict = new ValidationPipe({ expectedType: ReplayDto, transform: true, whitelist: true, forbidNonWhitelisted: true });

/** Sending once more. */
@Controller('api/v1/replays')
export class ReplaysController {
  constructor(private readonly actions: AdminActions) {}

  /** Send parked (or otherwise ended) deliveries once more, under the same ids; at least one selector must be given */
  @Post()
  @HttpCode(202)
  @ApiBody({ type: ReplayDto })
  async replay(@Body(strict) body: object): Promise<ReplayedDto> {
    const { dryRun = false, ...selection } = body as ReplayDto;
    if (Object.values(selection).every(value => value === undefined))
      throw new BadRequestException('give at least one of sink, sdkAppId, channelId, changeId, state, since, until');
    return this.actions.replay(selection, dryRun, 'api');
  }
}
