import { Get, NotFoundException, Param, Query } from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import { Database } from '../../../database/database.js';
import { Api, ApiProblem, Call } from '../api.decorator.js';
import { afterCursor } from '../list.dto.js';
import { ChannelDto, ChannelPageDto, ChannelsQuery } from './channel.dto.js';
import { findChannels } from './channel-list.js';
import { findChannel } from './channels.queries.js';

/** Channels as they are now. */
@Api('channels')
export class ChannelsController {
  constructor(private readonly database: Database) {}

  @Call(Get(), 'Channels, the one that was altered last first', ChannelPageDto)
  @ApiProblem(400, 'A parameter is not what it should be')
  async list(@Query() { limit, cursor, ...selection }: ChannelsQuery): Promise<ChannelPageDto> {
    const after = afterCursor(cursor, id => {
      const [, updatedAt, channel] = /^(\d{1,15})_(\d{1,15})$/.exec(id) ?? [];
      return updatedAt === undefined ? null : { updatedAt: Number(updatedAt), channel: Number(channel) };
    });
    const { items, next } = await findChannels(this.database, selection, limit, after);
    return { items, nextCursor: next && `${next.updatedAt}_${next.channel}` };
  }

  @Call(Get(':sdkAppId/:channelId'), 'One channel and how every sink stands to it', ChannelDto)
  @ApiParam({ name: 'channelId', description: 'Percent-encoded: @TOA#_shop_news is %40TOA%23_shop_news' })
  @ApiProblem(404, 'No webhook of this channel was kept')
  async one(@Param('sdkAppId') sdkAppId: string, @Param('channelId') channelId: string): Promise<ChannelDto> {
    const channel = await findChannel(this.database, sdkAppId, channelId);
    if (!channel) throw new NotFoundException('no webhook of this channel was kept');
    return channel;
  }
}
