import { Transform } from 'class-transformer';
import { IsBoolean, IsOptional } from 'class-validator';
import type { Mode } from '../../../sinks/sink.js';
import { PageDto, PageQuery, Word } from '../list.dto.js';
import { ProfileDto } from '../changes/change.dto.js';

/** How one sink stands to one channel. */
export class ChannelSinkDto {
  sink!: string;
  /** How the sink is fed */
  mode!: Mode;
  /** The newest revision that the sink has; null if none */
  revision!: number | null;
  /** How many changes of this channel still wait */
  pending!: number;
  /** retrying: the next one failed at least once; parked: nothing waits, but something was refused or given up */
  state!: 'in_sync' | 'pending' | 'retrying' | 'parked';
  /** null if nothing waits, it is being tried now, or the sink is paused or removed */
  nextAttemptAt!: Date | null;
  /** Why the last one failed that is still pending or parked */
  lastError!: string | null;
}

/** Which channels are wanted; all that is given must fit. */
export class ChannelsQuery extends PageQuery {
  /** Only of this app */
  @Word()
  sdkAppId?: string;

  /** Only those with this in their name or id, whatever its case @example "shop" */
  @Word()
  query?: string;

  /** Only those that exist, or only those that were destroyed */
  @Transform(({ value }: { value: unknown }) => ({ true: true, false: false })[String(value)] ?? value)
  @IsOptional()
  @IsBoolean({ message: 'exists must be true or false' })
  exists?: boolean;
}

class KnownChannelDto {
  sdkAppId!: string;
  channelId!: string;
  /** False once it was destroyed */
  exists!: boolean;
  /** Counts the changes that altered it */
  revision!: number;
  /** The newest time of a change that altered it */
  updatedAt!: Date | null;
  /** As of when Tencent last told of it */
  verifiedAt!: Date | null;
}

/** One channel of a list. */
export class ListedChannelDto extends KnownChannelDto {
  /** null is unknown, an empty text was cleared @example "Shop news" */
  name!: string | null;
  /** How many deliveries of its changes are parked, at all sinks */
  failed!: number;
}

export class ChannelPageDto extends PageDto {
  /** The one that was altered last first */
  items!: ListedChannelDto[];
}

/** One channel as it is now. */
export class ChannelDto extends KnownChannelDto {
  /** What is known of it */
  profile!: ProfileDto;
  /** In the order of their names */
  sinks!: ChannelSinkDto[];
}
