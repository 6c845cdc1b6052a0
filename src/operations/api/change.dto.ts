import { ApiProperty } from '@nestjs/swagger';
import { DeliveryWithAttemptsDto } from './delivery.dto.js';
import { Page } from './list.dto.js';

const fields = ['name', 'avatarUrl', 'introduction', 'organization'];

/** A channel's profile; null is unknown, an empty text was cleared. */
export class ProfileDto {
  @ApiProperty({ type: String, nullable: true })
  name!: string | null;

  @ApiProperty({ type: String, nullable: true })
  avatarUrl!: string | null;

  @ApiProperty({ type: String, nullable: true })
  introduction!: string | null;

  @ApiProperty({ type: String, nullable: true })
  organization!: string | null;
}

/** One field that differs. */
export class FieldChangeDto {
  @ApiProperty({ enum: fields })
  field!: string;

  @ApiProperty({ type: String, nullable: true, description: 'The value before; null if it was unknown' })
  from!: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'The value after; null if it is unknown' })
  to!: string | null;
}

/** What one kept webhook did to its channel. */
export class ChangeDto {
  @ApiProperty({ description: 'Given on arrival' })
  id!: string;

  @ApiProperty({ example: '1400000001' })
  sdkAppId!: string;

  @ApiProperty({ example: '@TOA#_shop_news' })
  channelId!: string;

  @ApiProperty({ enum: ['channel.created', 'channel.profile.updated', 'channel.destroyed'] })
  type!: string;

  @ApiProperty({ type: 'integer', nullable: true, description: "The channel's revision that it made; null if it altered nothing" })
  revision!: number | null;

  @ApiProperty({ type: String, nullable: true, description: 'Who asked for it; null if the webhook did not tell' })
  operator!: string | null;

  @ApiProperty({ format: 'date-time', description: 'When it happened' })
  eventTime!: string;

  @ApiProperty({ description: 'True if the webhook told no usable time, so that its arrival stands in' })
  eventTimeEstimated!: boolean;

  @ApiProperty({ description: 'True if a field had another value of the very same time' })
  tie!: boolean;

  @ApiProperty({ format: 'date-time', description: 'When the webhook arrived' })
  receivedAt!: string;

  @ApiProperty({ type: [FieldChangeDto], description: 'The fields that differ' })
  changes!: FieldChangeDto[];

  @ApiProperty({
    enum: fields,
    isArray: true,
    description: 'Fields of the webhook that were older than what was known and were not applied',
  })
  stale!: string[];
}

/** A change with the profile that it made and what became of it. */
export class ChangeDetailDto extends ChangeDto {
  @ApiProperty({ description: 'The whole profile after it' })
  profile!: ProfileDto;

  @ApiProperty({ type: [DeliveryWithAttemptsDto], description: 'One for each sink that is owed it, in the order of their names' })
  deliveries!: DeliveryWithAttemptsDto[];
}

export class ChangePageDto extends Page<ChangeDto> {
  @ApiProperty({ type: [ChangeDto], description: 'The newest arrival first' })
  declare items: ChangeDto[];
}
