import { PickType } from '@nestjs/swagger';
import type { ChangeType } from '../../channel/change.js';
import type { ChangeEvent } from '../../sinks/sink.js';
import { ChangeDto, ProfileDto } from './changes/change.dto.js';

class EventDataDto extends PickType(ChangeDto, ['sdkAppId', 'channelId', 'revision', 'operator', 'source', 'changes']) {
  changeId!: string;
  /** Whether the channel exists after the change */
  exists!: boolean;
  /** The complete profile after the change */
  profile!: ProfileDto;
  /** True on the sample that a person sends to test the sink; absent otherwise */
  test?: true;
}

/** The body that a `webhook` sink without a template posts. */
export class EventDto implements ChangeEvent {
  /** The effect on the channel */
  type!: ChangeType;
  /** The vendor's EventTime, ISO 8601 @example "2026-01-31T12:00:00.000Z" */
  timestamp!: string;
  /** The change */
  data!: EventDataDto;
}
