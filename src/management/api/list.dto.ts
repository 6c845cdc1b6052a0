import { BadRequestException, applyDecorators } from '@nestjs/common';
import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean, IsIn, IsInt, IsNotEmpty, IsOptional, IsString, Max, Min } from 'class-validator';
import { type Source, sources, wellFormed } from '../../channel/origin.js';
import { fromIso } from './times.js';

/** Not given: an absent one and `null` are the same. */
export const NullIsAbsent = (): PropertyDecorator => Transform(({ value }: { value: unknown }) => value ?? undefined);

/** A yes or no that may be given. */
export const Flag = (): PropertyDecorator => applyDecorators(NullIsAbsent(), IsOptional(), IsBoolean());

/** A text that may be given, as the store has it. */
export const Word = (): PropertyDecorator =>
  applyDecorators(
    Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? wellFormed(value) : (value ?? undefined))),
    IsOptional(),
    IsString(),
    IsNotEmpty(),
  );

/** A time that may be given, in milliseconds. */
const Time = (): PropertyDecorator =>
  applyDecorators(
    ApiPropertyOptional({ type: String, format: 'date-time' }),
    Transform(({ value }: { value: unknown }) => (value === undefined || value === null ? undefined : fromIso(value))),
    IsOptional(),
    IsInt({ message: '$property must be a time in ISO 8601' }),
  );

/** Which part of a list is wanted. Unknown parameters are ignored. */
export class PageQuery {
  /** The most items of one answer */
  @ApiPropertyOptional()
  // Anything but digits, such as a repeated parameter, becomes NaN, which the rules refuse.
  @Transform(({ value }: { value: unknown }) => (typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN))
  @IsInt({ message: 'limit must be a whole number from 1 to 500' })
  @Min(1)
  @Max(500)
  limit: number = 50;

  /** The nextCursor of the answer before: the list goes on after it @example "17" */
  @IsOptional()
  @IsString({ message: 'cursor must be given once' })
  cursor?: string;
}

/** Which part of a list, of a time. */
export class PeriodQuery extends PageQuery {
  /** Only what arrived or was done at this time or later, ISO 8601; without a zone it is UTC */
  @Time()
  since?: number;

  /** Only what arrived or was done before this time, ISO 8601; without a zone it is UTC */
  @Time()
  until?: number;
}

/** What arrived when, and of whom; all that is given must fit. */
export class ArrivalsQuery extends PeriodQuery {
  /** Only of this app */
  @Word()
  sdkAppId?: string;

  /** Only of channels with this id */
  @Word()
  channelId?: string;
}

/** Which changes are wanted. */
export class ChangesQuery extends ArrivalsQuery {
  /** Only of this source */
  @IsOptional()
  @IsIn(sources)
  source?: Source;
}

/** One part of a list, beside its items. */
export class PageDto {
  /** Give it as cursor to get what comes next; null at the end @example "17" */
  nextCursor!: string | null;
}

/** The page of rows that were asked for with one more than the limit. @param idOf the id of an item of this list, which serves as the cursor */
export function pageFrom<Row>(
  rows: readonly Row[],
  limit: number,
  idOf: (row: Row) => string,
): { items: Row[]; nextCursor: string | null } {
  const items = rows.slice(0, limit);
  return { items, nextCursor: rows.length > limit ? idOf(items.at(-1)!) : null };
}

/**
 * The key of the item that a cursor names.
 * @param parse gives `null` for what cannot be an id of this list
 * @throws BadRequestException
 */
export function afterCursor<Key>(cursor: string | undefined, parse: (id: string) => Key | null): Key | null {
  const key = cursor === undefined ? null : parse(cursor);
  if (cursor !== undefined && key === null) throw new BadRequestException('cursor must be the nextCursor of an answer of this list');
  return key;
}
