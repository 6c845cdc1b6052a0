import { answer, bool, channelId, integer, many, one, oneOf, orNull, sdkAppId, text, time } from '../answer.js';
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

/** One channel as it is now. */
export class ChannelDto extends answer({
  sdkAppId,
  channelId,
  exists: bool('False once it was destroyed'),
  revision: integer('Counts the changes that altered it'),
  updatedAt: orNull(time('The newest time of a change that altered it')),
  profile: one(ProfileDto),
  sinks: many(ChannelSinkDto, 'In the order of their names'),
}) {}
