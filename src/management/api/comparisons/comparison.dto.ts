import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ArrayMaxSize, ArrayMinSize, IsArray, IsBoolean, IsOptional } from 'class-validator';
import { inEnglishOrNull } from '../../../explanations/explanation.js';
import { type Comparison, causes, comparisonStates } from '../../../reconcile/comparison.js';
import { appStates } from '../../../reconcile/apps.js';
import { answer, bool, channelId, integer, many, oneOf, orNull, pageOf, sdkAppId, text, time } from '../answer.js';
import { NullIsAbsent, PageQuery, Word } from '../list.dto.js';
import { toIsoOrNull } from '../times.js';

const idsMost = 10_000;

/** What is to be compared with Tencent. */
export class ComparisonRequestDto {
  @Word('The app; may be left out if only one app has a secret key', '1400000001')
  sdkAppId?: string;

  @ApiPropertyOptional({ type: [String], maxItems: idsMost, description: 'Only these channels; what cannot be an id counts as failed' })
  @NullIsAbsent()
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(idsMost)
  channelIds?: unknown[];

  @ApiPropertyOptional({ default: false, description: 'Record nothing, only count' })
  @NullIsAbsent()
  @IsOptional()
  @IsBoolean()
  dryRun?: boolean;

  @ApiPropertyOptional({ default: false, description: 'Record channels that are gone as destroyed, however many they are' })
  @NullIsAbsent()
  @IsOptional()
  @IsBoolean()
  destroy?: boolean;
}

/** Channels that are to be imported. */
export class ImportRequestDto {
  @Word('The app; may be left out if only one app has a secret key', '1400000001')
  sdkAppId?: string;

  @ApiProperty({ type: [String], minItems: 1, maxItems: idsMost, description: 'What cannot be an id counts as failed' })
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(idsMost)
  channelIds!: unknown[];
}

/** Which comparisons are wanted. */
export class ComparisonsQuery extends PageQuery {
  @Word('Only of this app', '1400000001')
  sdkAppId?: string;
}

class ExampleDto extends answer({
  channelId,
  field: orNull(text('What differed; null if it is about the channel as a whole', 'name')),
  ours: orNull(text('Cut to 500 characters')),
  theirs: orNull(text('Cut to 500 characters')),
  reason: orNull(text('Why the channel could not be compared, or what became of it')),
}) {}

/** A comparison of channels with Tencent. */
export class ComparisonDto extends answer({
  id: text(),
  sdkAppId,
  cause: oneOf(causes, 'Why; created, tie, estimated and again are of single channels, and listed only if they changed something'),
  state: oneOf(comparisonStates, 'waiting: another one of this app runs'),
  dryRun: bool(),
  startedAt: orNull(time()),
  finishedAt: orNull(time()),
  total: integer('Channels that are to be compared; of an import the ids that were given'),
  compared: integer('Channels that Tencent told of, or said that they do not exist'),
  corrected: integer('Channels that differed; of a dry run, that would be corrected'),
  destroyed: integer('Channels that do not exist any more'),
  imported: integer('Channels that we had never heard of'),
  failed: integer('Channels that could not be compared'),
  reason: orNull(text('Why it failed, or what holds it up')),
  advice: orNull(text('What can be done about it')),
  examples: many(ExampleDto, '20 at most'),
}) {}

export class ComparisonPageDto extends pageOf(ComparisonDto, 'The latest first') {}

export function showComparison({ id, sdk_app_id: app, cause, state, reason, advice, progress, ...row }: Comparison): ComparisonDto {
  const { total, compared, corrected, destroyed, imported, failed, examples } = progress;
  const [startedAt, finishedAt] = [toIsoOrNull(row.started_at), toIsoOrNull(row.finished_at)];
  const counts = { total, compared, corrected, destroyed, imported, failed };
  const why = { reason: inEnglishOrNull(reason), advice: inEnglishOrNull(advice) };
  const shown = examples.map(example => ({ ...example, reason: inEnglishOrNull(example.reason) }));
  return { id, sdkAppId: app, cause, state, dryRun: row.dry_run === 1, startedAt, finishedAt, ...counts, ...why, examples: shown };
}

/** An app, and how comparing its channels with Tencent fares. */
export class AppDto extends answer({
  sdkAppId,
  comparisons: oneOf(['on', 'off'], 'off: it has no secret key'),
  state: oneOf(appStates),
  reason: orNull(text('Why it is not ok')),
  advice: orNull(text('What can be done about it')),
  channels: integer('Channels that are known, those that were destroyed too'),
  lastWebhookAt: orNull(time('When its last webhook was kept')),
  lastComparisonAt: orNull(time('When the last comparison of all channels was done')),
}) {}

export class AppPageDto extends pageOf(AppDto, 'In the order of SDK_APP_IDS') {}
