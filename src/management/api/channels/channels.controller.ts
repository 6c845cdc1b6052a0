import { Get, NotFoundException, Param } from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import { Database } from '../../../database/database.js';
import { Api, ApiProblem, Call } from '../api.decorator.js';
import { ChannelDto } from './channel.dto.js';
import { findChannel } from './channels.queries.js';

/** Channels as they are now. */
@Api('channels')
export class ChannelsController {
  constructor(private readonly database: Database) {}

  @Call(Get(':sdkAppId/:channelId'), 'One channel and how every sink stands to it', ChannelDto)
  @ApiParam({ name: 'channelId', description: 'Percent-encoded: @TOA#_shop_news is %40TOA%23_shop_news' })
  @ApiProblem(404, 'No webhook of this channel was kept')
  async one(@Param('sdkAppId') sdkAppId: string, @Param('channelId') channelId: string): Promise<ChannelDto> {
    const channel = await findChannel(this.database, sdkAppId, channelId);
    if (!channel) throw new NotFoundException('no webhook of this channel was kept');
    return channel;
  }
}
