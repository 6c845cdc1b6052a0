import { Transform } from 'class-transformer';
import { IsBoolean, IsOptional } from 'class-validator';
import type { Mode } from '../../../sinks/sink.js';
import { PageDto, PageQuery, NonEmptyText } from '../list.dto.js';
import { ProfileDto } from '../changes/change.dto.js';

/** The state of a channel at a sink. */
export class ChannelSinkDto {
  sink!: string;
  /** The mode of the sink */
  mode!: Mode;
  /** The latest revision that the sink has; null if none */
  revision!: number | null;
  /** How many changes of this channel are pending */
  pending!: number;
  /** retrying: the next delivery has failed at least once; parked: nothing is pending, but a delivery is parked */
  state!: 'in_sync' | 'pending' | 'retrying' | 'parked';
  /** When the next attempt is due; null if nothing is pending, an attempt is in progress, or the sink is paused or removed */
  nextAttemptAt!: Date | null;
  /** The latest error of a delivery that is still pending or parked */
  lastError!: string | null;
}

/** Filters for channels; all given ones must match. */
export class ChannelsQuery extends PageQuery {
  /** Only channels of this app */
  @NonEmptyText()
  sdkAppId?: string;

  /** Only channels with this text in their name or id, ignoring case @example "shop" */
  @NonEmptyText()
  query?: string;

  /** true: only channels that exist; false: only destroyed ones */
  @Transform(({ value }: { value: unknown }) => ({ true: true, false: false })[String(value)] ?? value)
  @IsOptional()
  @IsBoolean({ message: 'exists must be true or false' })
  exists?: boolean;
}

class KnownChannelDto {
  sdkAppId!: string;
  channelId!: string;
  /** False if it was destroyed */
  exists!: boolean;
  /** Counts the changes that altered the channel */
  revision!: number;
  /** The latest time of a change that altered it */
  updatedAt!: Date | null;
  /** The time of the latest data from Tencent about it */
  verifiedAt!: Date | null;
}

/** A channel in a list. */
export class ListedChannelDto extends KnownChannelDto {
  /** null means unknown, an empty text means cleared @example "Shop news" */
  name!: string | null;
  /** How many deliveries of its changes are parked, across all sinks */
  failed!: number;
}

export class ChannelPageDto extends PageDto {
  /** Latest update first */
  items!: ListedChannelDto[];
}

/** The current state of a channel. */
export class ChannelDto extends KnownChannelDto {
  /** Its current profile */
  profile!: ProfileDto;
  /** By sink name */
  sinks!: ChannelSinkDto[];
}
