import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsBoolean, IsOptional } from 'class-validator';

const states = ['idle', 'running', 'done', 'failed'] as const;

/** How an index is to be compared. */
export class VerifyDto {
  @ApiPropertyOptional({ default: false, description: 'Send once more what differs, and take out what is surplus' })
  @IsOptional()
  @IsBoolean()
  repair?: boolean | null;
}

/** Since when a job runs, and until when it ran. */
class JobDto {
  @ApiProperty({ enum: states, description: 'idle: it was never asked for' })
  state!: (typeof states)[number];

  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  startedAt!: string | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  finishedAt!: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'Why it failed, or what holds it up' })
  error!: string | null;
}

/** One document that is not what the store says. */
class ExampleDto {
  @ApiProperty()
  sdkAppId!: string;

  @ApiProperty()
  channelId!: string;

  @ApiProperty({ enum: ['missing', 'older', 'newer', 'surplus'] })
  kind!: string;
}

/** The newest comparison of an index with the store. */
export class VerifyStateDto extends JobDto {
  @ApiProperty({ type: 'integer', description: 'Channels that were looked at' })
  compared!: number;

  @ApiProperty({ type: 'integer' })
  missing!: number;

  @ApiProperty({ type: 'integer', description: 'Behind, or with other texts at the same revision' })
  older!: number;

  @ApiProperty({ type: 'integer', description: 'Ahead of the store, as after a loss of the database' })
  newer!: number;

  @ApiProperty({ type: 'integer', description: 'Of channels that the store does not know or the filters do not want' })
  surplus!: number;

  @ApiProperty({ type: 'integer', description: 'Sent once more or taken out' })
  repaired!: number;

  @ApiProperty({ type: [ExampleDto], description: 'Some of them' })
  examples!: ExampleDto[];
}

/** The newest building of an index beside the one that is used. */
export class RebuildStateDto extends JobDto {
  @ApiProperty({ type: 'integer', description: 'Channels that are in the next index' })
  done!: number;

  @ApiProperty({ type: 'integer', description: 'Channels that there were when it began' })
  total!: number;

  @ApiProperty({ type: String, nullable: true, description: 'The name of the next index; it is used from the end on' })
  index!: string | null;
}
