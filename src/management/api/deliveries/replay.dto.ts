import { ApiPropertyOptional, OmitType } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, MaxLength } from 'class-validator';
import { DeliveriesQuery, type DeliveryState, deliveryStates } from './delivery.dto.js';
import { Flag, NullIsAbsent, Word } from '../list.dto.js';

/** Which deliveries are to be sent once more; all that is given must fit, and something must be given. */
export class ReplayDto extends OmitType(DeliveriesQuery, ['limit', 'cursor', 'state']) {
  /** Only of this change */
  @Word()
  changeId?: string;

  /** The state that they are in */
  @ApiPropertyOptional({ default: 'parked' })
  @NullIsAbsent()
  @IsOptional()
  @IsIn(deliveryStates.filter(state => state !== 'pending'))
  state?: Exclude<DeliveryState, 'pending'>;

  /** Only count */
  @Flag()
  dryRun?: boolean = false;
}

/** What a replay did, or would do. */
export class ReplayedDto {
  /** How many deliveries fit */
  matched!: number;
  /** How many of them are pending again, under their ids */
  replayed!: number;
  /** How many were left out: their state sink has something newer */
  skippedAsStale!: number;
}

/** Why a delivery is given up. */
export class DiscardDto {
  /** For the record @example "corrected in the CRM by hand" */
  @NullIsAbsent()
  @IsOptional()
  @IsString()
  @MaxLength(500)
  reason?: string;
}
