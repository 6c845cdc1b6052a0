import { ApiProperty } from '@nestjs/swagger';
import { sinkStateNames } from '../sink-states.js';
import { Page } from './list.dto.js';

/** The accounts of a sink: owed is always the sum of the others. */
export class CountsDto {
  @ApiProperty({ type: 'integer', description: 'Every change that the sink was ever owed and that is still kept' })
  owed!: number;

  @ApiProperty({ type: 'integer', description: 'Still to be sent' })
  pending!: number;

  @ApiProperty({ type: 'integer' })
  delivered!: number;

  @ApiProperty({ type: 'integer', description: 'Not sent, since a newer state made it superfluous' })
  superseded!: number;

  @ApiProperty({ type: 'integer', description: 'Refused or given up; waits for a person' })
  parked!: number;

  @ApiProperty({ type: 'integer', description: 'Dropped by a person or because the sink is gone' })
  discarded!: number;
}

/** One sink and how it is. */
export class SinkDto {
  @ApiProperty({ example: 'crm' })
  name!: string;

  @ApiProperty({ example: 'webhook' })
  type!: string;

  @ApiProperty({
    enum: ['log', 'state', 'report'],
    description: 'log: every change in order; state: the newest state; report: each change with its results',
  })
  mode!: string;

  @ApiProperty({ enum: sinkStateNames })
  state!: string;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, description: 'Since when it is in this state; null if it is ok' })
  since!: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'Why it is not ok, in plain words' })
  reason!: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'What a person can do about it' })
  advice!: string | null;

  @ApiProperty({
    type: Number,
    nullable: true,
    description: 'Age of its oldest pending delivery, in seconds; 0 if there is none, null if the sink was removed',
  })
  lagSeconds!: number | null;

  @ApiProperty()
  counts!: CountsDto;
}

export class SinkPageDto extends Page<SinkDto> {
  @ApiProperty({ type: [SinkDto], description: 'The newest first' })
  declare items: SinkDto[];
}
