import { ApiProperty } from '@nestjs/swagger';
import { ProfileDto } from './change.dto.js';

/** How one sink stands to one channel. */
export class ChannelSinkDto {
  @ApiProperty({ example: 'crm' })
  sink!: string;

  @ApiProperty({ enum: ['log', 'state', 'report'] })
  mode!: string;

  @ApiProperty({ type: 'integer', nullable: true, description: 'The newest revision that the sink has; null if none' })
  revision!: number | null;

  @ApiProperty({ type: 'integer', description: 'How many changes of this channel still wait' })
  pending!: number;

  @ApiProperty({
    enum: ['in_sync', 'pending', 'retrying', 'parked'],
    description: 'retrying: the next one failed at least once; parked: nothing waits, but something was refused or given up',
  })
  state!: string;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'null if nothing waits, it is being tried now, or the sink is paused or removed',
  })
  nextAttemptAt!: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'Why the last one failed that is still pending or parked' })
  lastError!: string | null;
}

/** One channel as it is now. */
export class ChannelDto {
  @ApiProperty({ example: '1400000001' })
  sdkAppId!: string;

  @ApiProperty({ example: '@TOA#_shop_news' })
  channelId!: string;

  @ApiProperty({ description: 'False once it was destroyed' })
  exists!: boolean;

  @ApiProperty({ type: 'integer', description: 'Counts the changes that altered it' })
  revision!: number;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, description: 'The newest time of a change that altered it' })
  updatedAt!: string | null;

  @ApiProperty()
  profile!: ProfileDto;

  @ApiProperty({ type: [ChannelSinkDto], description: 'In the order of their names' })
  sinks!: ChannelSinkDto[];
}
