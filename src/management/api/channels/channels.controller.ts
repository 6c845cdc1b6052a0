import { Controller, Get, NotFoundException, Param, Query } from '@nestjs/common';
import { Database } from '../../../database/database.js';
import { inEnglishOrNull } from '../../../explanations/explanation.js';
import { afterCursor } from '../list.dto.js';
import { ChannelDto, ChannelPageDto, ChannelsQuery } from './channel.dto.js';
import { findChannel, findChannels } from './channels.queries.js';

@Controller('api/v1/channels')
export class ChannelsController {
  constructor(private readonly database: Database) {}

  /** List channels, latest update first */
  @Get()
  async list(@Query() { limit, cursor, ...selection }: ChannelsQuery): Promise<ChannelPageDto> {
    const after = afterCursor(cursor, id => {
      const [, updatedAt, channel] = /^(\d{1,15})_(\d{1,15})$/.exec(id) ?? [];
      return updatedAt === undefined ? null : { updatedAt: Number(updatedAt), channel: Number(channel) };
    });
    const { items, next } = await findChannels(this.database, selection, limit, after);
    return { items, nextCursor: next && `${next.updatedAt}_${next.channel}` };
  }

  /** Get a channel and its state at every sink */
  @Get(':sdkAppId/:channelId')
  async one(@Param('sdkAppId') sdkAppId: string, @Param('channelId') channelId: string): Promise<ChannelDto> {
    const channel = await findChannel(this.database, sdkAppId, channelId);
    if (!channel) throw new NotFoundException('there is no channel with this id');
    return { ...channel, sinks: channel.sinks.map(sink => ({ ...sink, lastError: inEnglishOrNull(sink.lastError) })) };
  }
}
