import { BadRequestException, applyDecorators } from '@nestjs/common';
import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean, IsIn, IsInt, IsNotEmpty, IsOptional, IsString, Max, Min } from 'class-validator';
import { type Source, sources, wellFormed } from '../../channel/origin.js';
import { fromIso } from './values.js';

/** Treats `null` like an absent value. */
export const NullIsAbsent = (): PropertyDecorator => Transform(({ value }: { value: unknown }) => value ?? undefined);

export const Flag = (): PropertyDecorator => applyDecorators(NullIsAbsent(), IsOptional(), IsBoolean());

/** An optional non-empty text, made well-formed like stored texts. */
export const NonEmptyText = (): PropertyDecorator =>
  applyDecorators(
    Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? wellFormed(value) : (value ?? undefined))),
    IsOptional(),
    IsString(),
    IsNotEmpty(),
  );

/** An optional time, parsed to milliseconds. */
const Time = (): PropertyDecorator =>
  applyDecorators(
    ApiPropertyOptional({ type: String, format: 'date-time' }),
    Transform(({ value }: { value: unknown }) => (value === undefined || value === null ? undefined : fromIso(value))),
    IsOptional(),
    IsInt({ message: '$property must be a time in ISO 8601' }),
  );

/** Paging of a list. */
export class PageQuery {
  /** Maximum number of items in the response */
  @ApiPropertyOptional()
  // Anything but digits, such as a repeated parameter, becomes NaN, which validation rejects.
  @Transform(({ value }: { value: unknown }) => (typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN))
  @IsInt({ message: 'limit must be a whole number from 1 to 500' })
  @Min(1)
  @Max(500)
  limit: number = 50;

  /** The nextCursor of the previous page @example "17" */
  @IsOptional()
  @IsString({ message: 'cursor must be given once' })
  cursor?: string;
}

/** Paging and a period. */
export class PeriodQuery extends PageQuery {
  /** Only items that arrived or were done at or after this time, ISO 8601; UTC if no time zone is given */
  @Time()
  since?: number;

  /** Only items that arrived or were done before this time, ISO 8601; UTC if no time zone is given */
  @Time()
  until?: number;
}

/** Filters by period, app and channel; all given ones must match. */
export class ArrivalsQuery extends PeriodQuery {
  /** Only items of this app */
  @NonEmptyText()
  sdkAppId?: string;

  /** Only items of channels with this id */
  @NonEmptyText()
  channelId?: string;
}

/** Filters for changes. */
export class ChangesQuery extends ArrivalsQuery {
  /** Only changes from this source */
  @IsOptional()
  @IsIn(sources)
  source?: Source;
}

/** A page of a list; `items` are declared by the subclasses. */
export class PageDto {
  /** Pass it as cursor to get the next page; null at the end @example "17" */
  nextCursor!: string | null;
}

/** Makes a page of rows that were queried with one more than the limit. @param idOf returns the id of a row, which serves as the cursor */
export function pageFrom<Row>(rows: readonly Row[], limit: number, idOf: (row: Row) => string) {
  const items = rows.slice(0, limit);
  return { items, nextCursor: rows.length > limit ? idOf(items.at(-1)!) : null };
}

/** The key of the item that a cursor refers to. @param parse returns `null` for an invalid id @throws BadRequestException */
export function afterCursor<Key>(cursor: string | undefined, parse: (id: string) => Key | null): Key | null {
  const key = cursor === undefined ? null : parse(cursor);
  if (cursor !== undefined && key === null) throw new BadRequestException('cursor must be the nextCursor of an answer of this list');
  return key;
}
