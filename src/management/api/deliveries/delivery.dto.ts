import { ApiPropertyOptional, OmitType } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, MaxLength } from 'class-validator';
import { ArrivalsQuery, Flag, NullIsAbsent, PageDto, NonEmptyText } from '../list.dto.js';

/** The states of a delivery. */
export const deliveryStates = ['pending', 'delivered', 'superseded', 'parked', 'discarded'] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** Filters for deliveries; all given ones must match. */
export class DeliveriesQuery extends ArrivalsQuery {
  /** Only deliveries to the sink with this name */
  @NonEmptyText()
  sink?: string;

  /** Only deliveries in this state */
  @IsOptional()
  @IsIn(deliveryStates)
  state?: DeliveryState;
}

/** An attempt to send a delivery. */
export class AttemptDto {
  /** When it started */
  at!: Date;
  durationMs!: number;
  /** The result of the attempt */
  outcome!: 'delivered' | 'retry' | 'refused' | 'misconfigured';
  status!: number | null;
  /** Why it failed */
  error!: string | null;
  response!: string | null;
}

/** The delivery of a change to a sink. */
export class DeliveryDto {
  /** The same on every attempt and replay; sent as webhook-id @example "0198c0de-7a5b-7000-8000-00000000002a_1" */
  id!: string;
  sink!: string;
  /** Its state */
  state!: DeliveryState;
  sdkAppId!: string;
  channelId!: string;
  changeId!: string;
  /** The revision that the change created; null if it altered nothing */
  revision!: number | null;
  /** The number of attempts since it became pending */
  tries!: number;
  /** Why it failed, was parked or was discarded */
  reason!: string | null;
  advice!: string | null;
  /** When the next attempt for its channel is due; null if not pending, during an attempt, or if the sink is paused or removed */
  nextAttemptAt!: Date | null;
  /** When its state or number of attempts last changed */
  updatedAt!: Date;
}

/** A delivery with its attempts. */
export class DeliveryWithAttemptsDto extends DeliveryDto {
  /** Oldest first */
  attempts!: AttemptDto[];
}

export class DeliveryPageDto extends PageDto {
  /** Latest change first */
  items!: DeliveryDto[];
}

/** Filters for deliveries to replay; all given ones must match, and at least one is required. */
export class ReplayDto extends OmitType(DeliveriesQuery, ['limit', 'cursor', 'state']) {
  /** Only deliveries of this change */
  @NonEmptyText()
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
