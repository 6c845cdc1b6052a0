import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean, IsOptional } from 'class-validator';
import { answer, bool, channelId, integer, many, one, oneOf, orNull, pageOf, sdkAppId, text, time } from '../answer.js';
import { PageQuery, Word } from '../list.dto.js';
import { ProfileDto } from '../changes/change.dto.js';

/** How one sink stands to one channel. */
export class ChannelSinkDto extends answer({
  sink: text(undefined, 'crm'),
  mode: oneOf(['log', 'state', 'report']),
  revision: orNull(integer('The newest revision that the sink has; null if none')),
  pending: integer('How many changes of this channel still wait'),
  state: oneOf(
    ['in_sync', 'pending', 'retrying', 'parked'],
    'retrying: the next one failed at least once; parked: nothing waits, but something was refused or given up',
  ),
  nextAttemptAt: orNull(time('null if nothing waits, it is being tried now, or the sink is paused or removed')),
  lastError: orNull(text('Why the last one failed that is still pending or parked')),
}) {}

/** Which channels are wanted; all that is given must fit. */
export class ChannelsQuery extends PageQuery {
  @Word('Only of this app', '1400000001')
  sdkAppId?: string;

  @Word('Only those with this in their name or id, whatever its case', 'shop')
  query?: string;

  @ApiPropertyOptional({ type: Boolean, description: 'Only those that exist, or only those that were destroyed' })
  @Transform(({ value }: { value: unknown }) => ({ true: true, false: false })[String(value)] ?? value)
  @IsOptional()
  @IsBoolean({ message: 'exists must be true or false' })
  exists?: boolean;
}

const known = {
  sdkAppId,
  channelId,
  exists: bool('False once it was destroyed'),
  revision: integer('Counts the changes that altered it'),
  updatedAt: orNull(time('The newest time of a change that altered it')),
  verifiedAt: orNull(time('As of when Tencent last told of it')),
};

/** One channel of a list. */
export class ListedChannelDto extends answer({
  ...known,
  name: orNull(text('null is unknown, an empty text was cleared')),
  failed: integer('How many deliveries of its changes are parked, at all sinks'),
}) {}

export class ChannelPageDto extends pageOf(ListedChannelDto, 'The one that was altered last first') {}

/** One channel as it is now. */
export class ChannelDto extends answer({
  ...known,
  profile: one(ProfileDto),
  sinks: many(ChannelSinkDto, 'In the order of their names'),
}) {}
