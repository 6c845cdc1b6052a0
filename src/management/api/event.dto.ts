import type { ChangeType } from '../../channel/change.js';
import type { Source } from '../../channel/origin.js';
import type { ChangeEvent } from '../../sinks/sink.js';
import { FieldChangeDto, ProfileDto } from './changes/change.dto.js';

class EventDataDto {
  changeId!: string;
  sdkAppId!: string;
  channelId!: string;
  /** Counts the changes of the channel; order by it */
  revision!: number | null;
  /** Whether the channel exists after it */
  exists!: boolean;
  /** Who did it; null if the vendor did not tell @example "administrator" */
  operator!: string | null;
  /** The vendor's webhook, or what a reading of its REST API led to */
  source!: Source;
  /** The fields that differ, in the order of the profile */
  changes!: FieldChangeDto[];
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
