import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean, IsIn, IsInt, IsNotEmpty, IsOptional, IsString, MaxLength } from 'class-validator';
import { deliveryStates } from './delivery.dto.js';
import { fromIso } from './times.js';

const replayable = deliveryStates.filter(state => state !== 'pending');

/** Not given: an absent one and `null` are the same. */
const NullIsAbsent = (): PropertyDecorator => Transform(({ value }: { value: unknown }) => value ?? undefined);
const Word = (): PropertyDecorator => (target, property) => {
  for (const rule of [NullIsAbsent(), IsOptional(), IsString(), IsNotEmpty()]) rule(target, property);
};
const Time = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) => (value === undefined || value === null ? undefined : fromIso(value)));

/** Which deliveries are to be sent once more; all that is given must fit, and something must be given. */
export class ReplayDto {
  @ApiPropertyOptional({ description: 'Only of the sink with this name', example: 'crm' })
  @Word()
  sink?: string;

  @ApiPropertyOptional({ description: 'Only of this app', example: '1400000001' })
  @Word()
  sdkAppId?: string;

  @ApiPropertyOptional({ description: 'Only of channels with this id', example: '@TOA#_shop_news' })
  @Word()
  channelId?: string;

  @ApiPropertyOptional({ description: 'Only of this change' })
  @Word()
  changeId?: string;

  @ApiPropertyOptional({ enum: replayable, default: 'parked', description: 'The state that they are in' })
  @NullIsAbsent()
  @IsOptional()
  @IsIn(replayable)
  state?: string;

  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'Only what arrived at this time or later, ISO 8601' })
  @Time()
  @IsOptional()
  @IsInt({ message: 'since must be a time in ISO 8601' })
  since?: number;

  @ApiPropertyOptional({ type: String, format: 'date-time', description: 'Only what arrived before this time, ISO 8601' })
  @Time()
  @IsOptional()
  @IsInt({ message: 'until must be a time in ISO 8601' })
  until?: number;

  @ApiPropertyOptional({ default: false, description: 'Only count' })
  @NullIsAbsent()
  @IsOptional()
  @IsBoolean()
  dryRun?: boolean;
}

/** What a replay did, or would do. */
export class ReplayedDto {
  @ApiProperty({ type: 'integer', description: 'How many deliveries fit' })
  matched!: number;

  @ApiProperty({ type: 'integer', description: 'How many of them are pending again, under their ids' })
  replayed!: number;

  @ApiProperty({ type: 'integer', description: 'How many were left out: their state sink has something newer' })
  skippedAsStale!: number;
}

/** Why a delivery is given up. */
export class DiscardDto {
  @ApiPropertyOptional({ maxLength: 500, example: 'corrected in the CRM by hand' })
  @NullIsAbsent()
  @IsOptional()
  @IsString()
  @MaxLength(500)
  reason?: string;
}
