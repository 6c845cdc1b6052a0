import { PickType } from '@nestjs/swagger';
import type { ChangeType } from '../../channel/change.js';
import type { ChangeEvent } from '../../sinks/sink.js';
import { ChangeDto, ProfileDto } from './changes/change.dto.js';

class EventDataDto extends PickType(ChangeDto, ['sdkAppId', 'channelId', 'revision', 'operator', 'source', 'changes']) {
  changeId!: string;
  /** Whether the channel exists after it */
  exists!: boolean;
  /** The whole profile after it */
  profile!: ProfileDto;
  /** True on the sample that a person sends to try the sink; not there on all others */
  test?: true;
}

/** The body that a `webhook` sink posts, unless it has a template. */
export class EventDto implements ChangeEvent {
  /** By the effect on the channel */
  type!: ChangeType;
  /** The vendor's EventTime, ISO 8601 @example "2026-01-31T12:00:00.000Z" */
  timestamp!: string;
  /** What happened to the channel */
  data!: EventDataDto;
}
