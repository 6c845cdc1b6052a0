import type { Type } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';

/** How one field of an answer is documented, and by its type parameter what it holds. */
type Field<T> = ApiPropertyOptions & { holds?: T };
type Holding<F> = { [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** The class of an answer: its type and its documentation out of one declaration. `base` has more fields. */
export function answer<F extends Record<string, Field<unknown>>, B extends object>(fields: F, base?: Type<B>): Type<B & Holding<F>> {
  class Answer extends ((base ?? Object) as Type<object>) {}
  for (const [name, field] of Object.entries(fields)) ApiProperty(field)(Answer.prototype, name);
  return Answer as Type<B & Holding<F>>;
}

const field =
  <T>(type: object) =>
  (description?: string, example?: T): Field<T> =>
    ({ ...type, ...(description !== undefined && { description }), ...(example !== undefined && { example }) }) as Field<T>;

export const text = field<string>({ type: String });
export const time = field<string>({ type: String, format: 'date-time' });
export const integer = field<number>({ type: 'integer' });
export const number = field<number>({ type: Number });
export const bool = field<boolean>({ type: Boolean });
export const record = field<object>({ type: 'object', additionalProperties: true });
export const oneOf = (values: readonly string[], description?: string) => field<string>({ enum: values })(description);
export const someOf = (values: readonly string[], description?: string) => field<string[]>({ enum: values, isArray: true })(description);
export const one = <T>(type: Type<T>, description?: string) => field<T>({ type })(description);
export const many = <T>(type: Type<T>, description?: string) => field<T[]>({ type: [type] })(description);
export const orNull = <T>(known: Field<T>) => ({ ...known, nullable: true }) as Field<T | null>;

export const sdkAppId = text(undefined, '1400000001');
export const channelId = text(undefined, '@TOA#_shop_news');

/** The class of one part of a list. */
export const pageOf = <T>(type: Type<T>, order: string) =>
  answer({ items: many(type, order), nextCursor: orNull(text('Give it as cursor to get what comes next; null at the end')) });
