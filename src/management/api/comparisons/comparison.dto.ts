import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ArrayMaxSize, ArrayMinSize, IsArray, IsOptional } from 'class-validator';
import { inEnglishOrNull } from '../../../explanations/explanation.js';
import type { appStates } from '../../../reconcile/apps.js';
import type { Cause, Comparison, comparisonStates } from '../../../reconcile/comparison.js';
import { Flag, NullIsAbsent, PageDto, PageQuery, Word } from '../list.dto.js';
import { toDateOrNull } from '../times.js';

const idsMost = 10_000;

/** What is to be compared with Tencent. */
export class ComparisonRequestDto {
  /** The app; may be left out if only one app has a secret key */
  @Word()
  sdkAppId?: string;

  /** Only these channels; what cannot be an id counts as failed */
  @ApiPropertyOptional({ type: [String], minItems: 1, maxItems: idsMost, example: ['@TOA#_shop_news'] })
  @NullIsAbsent()
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(idsMost)
  channelIds?: unknown[];

  /** Record nothing, only count */
  @Flag()
  dryRun?: boolean = false;

  /** Record channels that are gone as destroyed, however many they are */
  @Flag()
  destroy?: boolean = false;
}

/** Channels that are to be imported. */
export class ImportRequestDto {
  /** The app; may be left out if only one app has a secret key */
  @Word()
  sdkAppId?: string;

  /** What cannot be an id counts as failed */
  @ApiProperty({ type: [String], minItems: 1, maxItems: idsMost, example: ['@TOA#_shop_news'] })
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(idsMost)
  channelIds!: unknown[];
}

/** Which comparisons are wanted. */
export class ComparisonsQuery extends PageQuery {
  /** Only of this app */
  @Word()
  sdkAppId?: string;
}

class ComparisonExampleDto {
  channelId!: string;
  /** What differed; null if it is about the channel as a whole @example "name" */
  field!: string | null;
  /** What we have, cut to 500 characters @example "Shop" */
  ours!: string | null;
  /** What Tencent has, cut to 500 characters @example "Shop news" */
  theirs!: string | null;
  /** Why the channel could not be compared, or what became of it */
  reason!: string | null;
}

/** A comparison of channels with Tencent. */
export class ComparisonDto {
  id!: string;
  sdkAppId!: string;
  /** Why; created, tie, estimated and again are of single channels, and listed only if they changed something */
  cause!: Cause;
  /** waiting: another one of this app runs */
  state!: (typeof comparisonStates)[number];
  /** Whether it only counts */
  dryRun!: boolean;
  startedAt!: Date | null;
  finishedAt!: Date | null;
  /** Channels that are to be compared; of an import the ids that were given */
  total!: number;
  /** Channels that Tencent told of, or said that they do not exist */
  compared!: number;
  /** Channels that differed; of a dry run, that would be corrected */
  corrected!: number;
  /** Channels that do not exist any more */
  destroyed!: number;
  /** Channels that we had never heard of */
  imported!: number;
  /** Channels that could not be compared */
  failed!: number;
  /** Why it failed, or what holds it up */
  reason!: string | null;
  advice!: string | null;
  /** 20 at most */
  examples!: ComparisonExampleDto[];
}

export class ComparisonPageDto extends PageDto {
  /** The latest first */
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

/** An app, and how comparing its channels with Tencent fares. */
export class AppDto {
  /** Its id */
  sdkAppId!: string;
  /** off: it has no secret key */
  comparisons!: 'on' | 'off';
  /** How comparing fares */
  state!: (typeof appStates)[number];
  /** Why it is not ok */
  reason!: string | null;
  advice!: string | null;
  /** Channels that are known, those that were destroyed too */
  channels!: number;
  /** When its last webhook was kept */
  lastWebhookAt!: Date | null;
  /** When the last comparison of all channels was done */
  lastComparisonAt!: Date | null;
}

export class AppPageDto extends PageDto {
  /** In the order of SDK_APP_IDS */
  items!: AppDto[];
}
