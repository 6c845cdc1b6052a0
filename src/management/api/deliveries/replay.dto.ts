import { ApiPropertyOptional, OmitType } from '@nestjs/swagger';
import { IsBoolean, IsIn, IsOptional, IsString, MaxLength } from 'class-validator';
import { answer, integer } from '../answer.js';
import { DeliveriesQuery, deliveryStates } from './delivery.dto.js';
import { NullIsAbsent, Word } from '../list.dto.js';

const replayable = deliveryStates.filter(state => state !== 'pending');

/** Which deliveries are to be sent once more; all that is given must fit, and something must be given. */
export class ReplayDto extends OmitType(DeliveriesQuery, ['limit', 'cursor', 'state']) {
  @Word('Only of this change')
  changeId?: string;

  @ApiPropertyOptional({ enum: replayable, default: 'parked', description: 'The state that they are in' })
  @NullIsAbsent()
  @IsOptional()
  @IsIn(replayable)
  state?: string;

  @ApiPropertyOptional({ default: false, description: 'Only count' })
  @NullIsAbsent()
  @IsOptional()
  @IsBoolean()
  dryRun?: boolean;
}

/** What a replay did, or would do. */
export class ReplayedDto extends answer({
  matched: integer('How many deliveries fit'),
  replayed: integer('How many of them are pending again, under their ids'),
  skippedAsStale: integer('How many were left out: their state sink has something newer'),
}) {}

/** Why a delivery is given up. */
export class DiscardDto {
  @ApiPropertyOptional({ maxLength: 500, example: 'corrected in the CRM by hand' })
  @NullIsAbsent()
  @IsOptional()
  @IsString()
  @MaxLength(500)
  reason?: string;
}
