import { IsIn, IsOptional } from 'class-validator';
import { ArrivalsQuery, PageDto, Word } from '../list.dto.js';

/** The states of a delivery. */
export const deliveryStates = ['pending', 'delivered', 'superseded', 'parked', 'discarded'] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** Filters for deliveries; all given ones must match. */
export class DeliveriesQuery extends ArrivalsQuery {
  /** Only deliveries to the sink with this name */
  @Word()
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
