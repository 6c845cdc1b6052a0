import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional } from 'class-validator';
import { answer, channelId, integer, many, oneOf, orNull, pageOf, sdkAppId, text, time } from '../answer.js';
import { ArrivalsQuery, Word } from '../list.dto.js';

/** What can become of a delivery. */
export const deliveryStates = ['pending', 'delivered', 'superseded', 'parked', 'discarded'] as const;

/** Which deliveries are wanted; all that is given must fit. */
export class DeliveriesQuery extends ArrivalsQuery {
  @Word('Only of the sink with this name', 'crm')
  sink?: string;

  @ApiPropertyOptional({ enum: deliveryStates, description: 'Only in this state' })
  @IsOptional()
  @IsIn(deliveryStates)
  state?: string;
}

/** One try. */
class AttemptDto extends answer({
  at: time('When it began'),
  durationMs: integer('How long it took, in milliseconds'),
  outcome: oneOf(['delivered', 'retry', 'refused', 'misconfigured']),
  status: orNull(integer('The HTTP status of a failure, if there was one')),
  error: orNull(text('Why it failed, in plain words')),
  response: orNull(text('What the target answered to a failed try, without secrets, 500 characters at most')),
}) {}

/** What becomes of one change at one sink. */
export class DeliveryDto extends answer({
  id: text('The same on every try and replay; a CRM gets it as webhook-id'),
  sink: text(undefined, 'crm'),
  state: oneOf(deliveryStates),
  sdkAppId,
  channelId,
  changeId: text(),
  revision: orNull(integer('The revision that the change made; null if it altered nothing')),
  tries: integer('How often it was tried'),
  reason: orNull(text('Why it failed, was parked or discarded')),
  advice: orNull(text('What a person can do about it')),
  nextAttemptAt: orNull(
    time('When its channel is tried next at this sink; null if it is not pending, is being tried now, or the sink is paused or removed'),
  ),
  updatedAt: time('When its state or tries last moved'),
}) {}

/** A delivery with all its tries. */
export class DeliveryWithAttemptsDto extends answer({ attempts: many(AttemptDto, 'The first try first') }, DeliveryDto) {}

export class DeliveryPageDto extends pageOf(DeliveryDto, 'Those of the newest change first') {}
