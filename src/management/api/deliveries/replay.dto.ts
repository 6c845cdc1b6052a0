import { ApiPropertyOptional, OmitType } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, MaxLength } from 'class-validator';
import { DeliveriesQuery, type DeliveryState, deliveryStates } from './delivery.dto.js';
import { Flag, NullIsAbsent, Word } from '../list.dto.js';

/** Filters for deliveries to replay; all given ones must match, and at least one is required. */
export class ReplayDto extends OmitType(DeliveriesQuery, ['limit', 'cursor', 'state']) {
  /** Only deliveries of this change */
  @Word()
  changeId?: string;

  /** Only deliveries in this state */
  @ApiPropertyOptional({ default: 'parked' })
  @NullIsAbsent()
  @IsOptional()
  @IsIn(deliveryStates.filter(state => state !== 'pending'))
  state?: Exclude<DeliveryState, 'pending'>;

  /** Only count the deliveries */
  @Flag()
  dryRun?: boolean = false;
}

/** The result of a replay or dry run. */
export class ReplayedDto {
  /** How many deliveries match */
  matched!: number;
  /** How many of them are pending again, under the same ids */
  replayed!: number;
  /** How many were skipped, because their `state` sink already has a newer revision */
  skippedAsStale!: number;
}

/** Why a delivery is discarded. */
export class DiscardDto {
  /** Stored with the delivery @example "corrected in the CRM by hand" */
  @NullIsAbsent()
  @IsOptional()
  @IsString()
  @MaxLength(500)
  reason?: string;
}
