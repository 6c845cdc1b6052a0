import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsBoolean, IsOptional } from 'class-validator';
import { answer, integer, many, oneOf, orNull, text, time } from '../answer.js';

/** How an index is to be compared. */
export class VerifyDto {
  @ApiPropertyOptional({ default: false, description: 'Send once more what differs, and take out what is surplus' })
  @IsOptional()
  @IsBoolean()
  repair?: boolean | null;
}

/** Since when a job runs, and until when it ran. */
export class JobDto extends answer({
  state: oneOf(['idle', 'running', 'done', 'failed'], 'idle: it was never asked for'),
  startedAt: orNull(time()),
  finishedAt: orNull(time()),
  error: orNull(text('Why it failed, or what holds it up')),
}) {}

/** One document that is not what the store says. */
class ExampleDto extends answer({
  sdkAppId: text(),
  channelId: text(),
  kind: oneOf(['missing', 'older', 'newer', 'surplus']),
}) {}

const found = {
  compared: integer('Channels that were looked at'),
  missing: integer(),
  older: integer('Behind, or with other texts at the same revision'),
  newer: integer('Ahead of the store, as after a loss of the database'),
  surplus: integer('Of channels that the store does not know or the filters do not want'),
  repaired: integer('Sent once more or taken out'),
  examples: many(ExampleDto, 'Some of them'),
};

/** The newest comparison of an index with the store. */
export class VerifyStateDto extends answer(found, JobDto) {}

const built = {
  done: integer('Channels that are in the next index'),
  total: integer('Channels that there were when it began'),
  index: orNull(text('The name of the next index; it is used from the end on')),
};

/** The newest building of an index beside the one that is used. */
export class RebuildStateDto extends answer(built, JobDto) {}
