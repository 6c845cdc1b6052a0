import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsNotEmpty, IsOptional, IsString } from 'class-validator';
import { ChangesQuery, Page } from './list.dto.js';

/** What can become of a delivery. */
export const deliveryStates = ['pending', 'delivered', 'superseded', 'parked', 'discarded'] as const;

/** Which deliveries are wanted; all that is given must fit. */
export class DeliveriesQuery extends ChangesQuery {
  @ApiPropertyOptional({ description: 'Only of the sink with this name', example: 'crm' })
  @IsOptional()
  @IsString()
  @IsNotEmpty()
  sink?: string;

  @ApiPropertyOptional({ enum: deliveryStates, description: 'Only in this state' })
  @IsOptional()
  @IsIn(deliveryStates)
  state?: string;
}

/** One try. */
export class AttemptDto {
  @ApiProperty({ format: 'date-time', description: 'When it began' })
  at!: string;

  @ApiProperty({ type: 'integer', description: 'How long it took, in milliseconds' })
  durationMs!: number;

  @ApiProperty({ enum: ['delivered', 'retry', 'refused', 'misconfigured'] })
  outcome!: string;

  @ApiProperty({ type: 'integer', nullable: true, description: 'The HTTP status of a failure, if there was one' })
  status!: number | null;

  @ApiProperty({ type: String, nullable: true, description: 'Why it failed, in plain words' })
  error!: string | null;
}

/** What becomes of one change at one sink. */
export class DeliveryDto {
  @ApiProperty({ description: 'The same on every try and replay; a CRM gets it as webhook-id' })
  id!: string;

  @ApiProperty({ example: 'crm' })
  sink!: string;

  @ApiProperty({ enum: deliveryStates })
  state!: string;

  @ApiProperty({ example: '1400000001' })
  sdkAppId!: string;

  @ApiProperty({ example: '@TOA#_shop_news' })
  channelId!: string;

  @ApiProperty()
  changeId!: string;

  @ApiProperty({ type: 'integer', nullable: true, description: 'The revision that the change made; null if it altered nothing' })
  revision!: number | null;

  @ApiProperty({ type: 'integer', description: 'How often it was tried' })
  tries!: number;

  @ApiProperty({ type: String, nullable: true, description: 'Why it failed, was parked or discarded' })
  reason!: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'What a person can do about it' })
  advice!: string | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description:
      'When its channel is tried next at this sink; null if it is not pending, is being tried now, or the sink is paused or removed',
  })
  nextAttemptAt!: string | null;

  @ApiProperty({ format: 'date-time', description: 'When its state or tries last moved' })
  updatedAt!: string;
}

/** A delivery with all its tries. */
export class DeliveryWithAttemptsDto extends DeliveryDto {
  @ApiProperty({ type: [AttemptDto], description: 'The first try first' })
  attempts!: AttemptDto[];
}

export class DeliveryPageDto extends Page<DeliveryDto> {
  @ApiProperty({ type: [DeliveryDto], description: 'Those of the newest change first' })
  declare items: DeliveryDto[];
}
