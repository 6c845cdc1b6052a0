import { IsIn, IsPositive, Matches } from 'class-validator';
import { type FieldName, fieldNames } from '../channel/profile.js';
import { type Mistake, Must, Setting, Whole, decimal, duration, list, wholeNumber } from '../settings/setting.js';

/** The settings common to all sinks. A type overrides a default by redeclaring the property in its own class. */
export class SinkSettings {
  @Setting(
    'Only changes that touch one of these fields (name, avatarUrl, introduction, organization); a created or destroyed channel always counts',
    { parse: list, example: 'name,avatarUrl' },
  )
  @IsIn(fieldNames, { each: true, message: `$property must list fields out of ${fieldNames.join(', ')}` })
  FIELDS?: FieldName[];

  @Setting('Only channels whose id matches one of these patterns (`*` any characters, `?` one)', { parse: list, example: '@TOA#_shop_*' })
  CHANNELS?: string[];

  @Setting('Only these apps', { parse: list, example: '1400000001' })
  @Matches(/^\d{1,20}$/, { each: true, message: '$property must list ids made of digits, separated by commas' })
  SDK_APP_IDS?: string[];

  @Setting('Time limit of one attempt, in milliseconds', { default: '10000', parse: wholeNumber })
  @Whole(1, 300_000)
  TIMEOUT_MS!: number;

  @Setting('Concurrent attempts, per process', { default: '16', parse: wholeNumber })
  @Whole(1, 1000)
  CONCURRENCY!: number;

  @Setting('At most this many attempts per second, over all processes together; may be a fraction', { parse: decimal, example: '50' })
  @Must('a number such as 50 or 0.5, 0.001 at least', value => Number(value) >= 0.001)
  RATE_PER_SECOND?: number;

  @Setting('A delivery that keeps failing for this long is parked: a whole number and s, m, h or d', { default: '24h', parse: duration })
  @IsPositive({ message: '$property must be a whole number and s, m, h or d, such as 24h' })
  RETRY_MAX_AGE!: number;
}

/** The mistakes where some of these settings are given, but not all of the required ones. */
export function incomplete<S>(
  settings: S,
  required: readonly (keyof S & string)[],
  optional: readonly (keyof S & string)[] = [],
): Mistake[] {
  const given = [...required, ...optional].find(property => settings[property] !== undefined);
  const missing = required.filter(property => settings[property] === undefined);
  return given === undefined ? [] : missing.map(property => [property, `is required with ${given}`]);
}
