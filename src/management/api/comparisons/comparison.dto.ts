import { ApiProperty, ApiPropertyOptional, PickType } from '@nestjs/swagger';
import { ArrayMaxSize, ArrayMinSize, IsArray, IsOptional } from 'class-validator';
import { inEnglishOrNull } from '../../../explanations/explanation.js';
import type { Cause, Comparison } from '../../../reconcile/comparison.js';
import { Flag, NullIsAbsent, PageDto, PageQuery, NonEmptyText } from '../list.dto.js';
import { toDateOrNull } from '../values.js';

const maxIds = 10_000;

/** A request to compare channels with Tencent. */
export class ComparisonRequestDto {
  /** The app; may be left out if only one app has a secret key */
  @NonEmptyText()
  sdkAppId?: string;

  /** Only these channels; invalid ids count as failed */
  @ApiPropertyOptional({ type: [String], minItems: 1, maxItems: maxIds, example: ['@TOA#_shop_news'] })
  @NullIsAbsent()
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(maxIds)
  channelIds?: unknown[];

  /** Only count the differences, without recording them */
  @Flag()
  dryRun?: boolean = false;

  /** Record missing channels as destroyed, however many there are */
  @Flag()
  destroy?: boolean = false;
}

/** A request to import channels. */
export class ImportRequestDto extends PickType(ComparisonRequestDto, ['sdkAppId']) {
  /** The ids of the channels; invalid ones count as failed */
  @ApiProperty({ type: [String], minItems: 1, maxItems: maxIds, example: ['@TOA#_shop_news'] })
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(maxIds)
  channelIds!: unknown[];
}

/** Filters for comparisons. */
export class ComparisonsQuery extends PageQuery {
  /** Only comparisons of this app */
  @NonEmptyText()
  sdkAppId?: string;
}

class ComparisonExampleDto {
  channelId!: string;
  /** The field that differed; null if the example is about the channel as a whole @example "name" */
  field!: string | null;
  /** Our value, cut to 500 characters @example "Shop" */
  ours!: string | null;
  /** Tencent's value, cut to 500 characters @example "Shop news" */
  theirs!: string | null;
  /** Why the channel could not be compared, or the result for the channel */
  reason!: string | null;
}

/** A comparison of channels with Tencent. */
export class ComparisonDto {
  id!: string;
  sdkAppId!: string;
  /** Why it was started; created, tie, estimated and again concern single channels, and are listed only if something changed */
  cause!: Cause;
  /** waiting: another comparison of this app is running */
  state!: 'waiting' | 'running' | 'done' | 'failed';
  /** Whether it only counts differences */
  dryRun!: boolean;
  startedAt!: Date | null;
  finishedAt!: Date | null;
  /** Channels to compare; for an import the number of given ids */
  total!: number;
  /** Channels that Tencent returned or reported as missing */
  compared!: number;
  /** Channels corrected; in a dry run, channels that would be corrected */
  corrected!: number;
  /** Channels that no longer exist */
  destroyed!: number;
  /** Channels that were unknown before */
  imported!: number;
  /** Channels that could not be compared */
  failed!: number;
  /** Why it failed or is held up */
  reason!: string | null;
  advice!: string | null;
  /** At most 20 */
  examples!: ComparisonExampleDto[];
}

export class ComparisonPageDto extends PageDto {
  /** Latest first */
  items!: ComparisonDto[];
}

export function showComparison({ id, sdk_app_id: app, reason, advice, progress, ...row }: Comparison): ComparisonDto {
  const { total, compared, corrected, destroyed, imported, failed, examples } = progress;
  const [startedAt, finishedAt] = [toDateOrNull(row.started_at), toDateOrNull(row.finished_at)];
  const kind = { cause: row.cause as Cause, state: row.state as ComparisonDto['state'] };
  const counts = { total, compared, corrected, destroyed, imported, failed };
  const why = { reason: inEnglishOrNull(reason), advice: inEnglishOrNull(advice) };
  const shown = examples.map(example => ({ ...example, reason: inEnglishOrNull(example.reason) }));
  return { id, sdkAppId: app, ...kind, dryRun: row.dry_run === 1, startedAt, finishedAt, ...counts, ...why, examples: shown };
}

/** An app and the state of its comparisons with Tencent. */
export class AppDto {
  /** Its id */
  sdkAppId!: string;
  /** off: it has no secret key */
  comparisons!: 'on' | 'off';
  /** The state of its comparisons */
  state!: 'ok' | 'retrying' | 'misconfigured' | 'off';
  /** Why it is not ok */
  reason!: string | null;
  advice!: string | null;
  /** Known channels, including destroyed ones */
  channels!: number;
  /** When its latest webhook was recorded */
  lastWebhookAt!: Date | null;
  /** When the latest comparison of all channels was completed */
  lastComparisonAt!: Date | null;
}

export class AppPageDto extends PageDto {
  /** In the order of SDK_APP_IDS */
  items!: AppDto[];
}
