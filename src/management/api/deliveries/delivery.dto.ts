import { IsIn, IsOptional } from 'class-validator';
import { ArrivalsQuery, PageDto, Word } from '../list.dto.js';

/** What can become of a delivery. */
export const deliveryStates = ['pending', 'delivered', 'superseded', 'parked', 'discarded'] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** Which deliveries are wanted; all that is given must fit. */
export class DeliveriesQuery extends ArrivalsQuery {
  /** Only of the sink with this name */
  @Word()
  sink?: string;

  /** Only in this state */
  @IsOptional()
  @IsIn(deliveryStates)
  state?: DeliveryState;
}

/** One try. */
export class AttemptDto {
  /** When it began */
  at!: Date;
  durationMs!: number;
  /** What the answer means */
  outcome!: 'delivered' | 'retry' | 'refused' | 'misconfigured';
  status!: number | null;
  /** Why it failed, in plain words */
  error!: string | null;
  response!: string | null;
}

/** What becomes of one change at one sink. */
export class DeliveryDto {
  /** The same on every try and replay; a CRM gets it as webhook-id @example "0198c0de-7a5b-7000-8000-00000000002a_1" */
  id!: string;
  sink!: string;
  /** What became of it */
  state!: DeliveryState;
  sdkAppId!: string;
  channelId!: string;
  changeId!: string;
  /** The revision that the change made; null if it altered nothing */
  revision!: number | null;
  /** How often it was tried */
  tries!: number;
  /** Why it failed, was parked or discarded */
  reason!: string | null;
  advice!: string | null;
  /** When its channel is tried next at this sink; null if it is not pending, is being tried now, or the sink is paused or removed */
  nextAttemptAt!: Date | null;
  /** When its state or tries last moved */
  updatedAt!: Date;
}

/** A delivery with all its tries. */
export class DeliveryWithAttemptsDto extends DeliveryDto {
  /** The first try first */
  attempts!: AttemptDto[];
}

export class DeliveryPageDto extends PageDto {
  /** Those of the newest change first */
  items!: DeliveryDto[];
}
