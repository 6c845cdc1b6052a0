import { Get, Inject, NotFoundException, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { Database } from '../../database/database.js';
import { Api, ApiProblem } from './api.decorator.js';
import { ChangeDetailDto, ChangePageDto } from './change.dto.js';
import { findChange, findChanges, showChange } from './changes.queries.js';
import { deliveriesOf } from './deliveries.queries.js';
import { ChangesQuery, afterCursor, pageOf } from './list.dto.js';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What happened to channels. */
@Api('changes')
export class ChangesController {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** Changes, the newest arrival first. 400 for a bad parameter. */
  @Get()
  @ApiOperation({ summary: 'Changes, the newest arrival first' })
  @ApiOkResponse({ type: ChangePageDto })
  @ApiProblem(400, 'A parameter is not what it should be')
  async list(@Query() query: ChangesQuery): Promise<ChangePageDto> {
    const after = afterCursor(query.cursor, id => (uuid.test(id) ? id : null));
    return pageOf(await findChanges(this.database, query, after), query.limit, row => row.id, showChange);
  }

  /** One change, the profile that it made, and every try at every sink. 404 if it is not (or no longer) known. */
  @Get(':id')
  @ApiOperation({ summary: 'One change with every try at every sink' })
  @ApiOkResponse({ type: ChangeDetailDto })
  @ApiProblem(404, 'No such change is kept')
  async one(@Param('id') id: string): Promise<ChangeDetailDto> {
    const change = uuid.test(id) ? await findChange(this.database, id) : null;
    if (!change) throw new NotFoundException('no change with this id is kept');
    return Object.assign(change, { deliveries: await deliveriesOf(this.database, id) });
  }
}
