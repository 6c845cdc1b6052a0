import { answer, bool, channelId, integer, many, one, oneOf, orNull, pageOf, sdkAppId, someOf, text, time } from '../answer.js';
import { sources } from '../../../channel/origin.js';
import { DeliveryWithAttemptsDto } from '../deliveries/delivery.dto.js';

const fields = ['name', 'avatarUrl', 'introduction', 'organization'];

/** A channel's profile; null is unknown, an empty text was cleared. */
export class ProfileDto extends answer({
  name: orNull(text()),
  avatarUrl: orNull(text()),
  introduction: orNull(text()),
  organization: orNull(text()),
}) {}

/** One field that differs. */
class FieldChangeDto extends answer({
  field: oneOf(fields),
  from: orNull(text('The value before; null if it was unknown')),
  to: orNull(text('The value after; null if it is unknown')),
}) {}

/** What one kept webhook did to its channel. */
export class ChangeDto extends answer({
  id: text('Given on arrival'),
  sdkAppId,
  channelId,
  type: oneOf(['channel.created', 'channel.profile.updated', 'channel.destroyed']),
  revision: orNull(integer("The channel's revision that it made; null if it altered nothing")),
  source: oneOf(sources, "webhook, or what a reading of the vendor's REST API led to: comparison, or import of a channel never heard of"),
  operator: orNull(text('Who asked for it; null if the webhook did not tell')),
  clientIp: orNull(text('The address of whoever made it, as the vendor tells it')),
  platform: orNull(text('The platform on which it was made, as the vendor writes it', 'RESTAPI')),
  owner: orNull(text("The channel's owner, as the vendor tells it")),
  eventTime: time('When it happened'),
  eventTimeEstimated: bool('True if the webhook told no usable time, so that its arrival stands in'),
  tie: bool('True if a field had another value of the very same time'),
  receivedAt: time('When the webhook arrived'),
  changes: many(FieldChangeDto, 'The fields that differ'),
  stale: someOf(fields, 'Fields of the webhook that were older than what was known and were not applied'),
}) {}

const detail = {
  profile: one(ProfileDto, 'The whole profile after it'),
  deliveries: many(DeliveryWithAttemptsDto, 'One for each sink that is owed it, in the order of their names'),
};

/** A change with the profile that it made and what became of it. */
export class ChangeDetailDto extends answer(detail, ChangeDto) {}

export class ChangePageDto extends pageOf(ChangeDto, 'The newest arrival first') {}
