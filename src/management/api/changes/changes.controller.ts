import { Controller, Get, Header, NotFoundException, Param, Query, StreamableFile } from '@nestjs/common';
import { ApiOkResponse, ApiProduces } from '@nestjs/swagger';
import { validate as isUuid } from 'uuid';
import { Database } from '../../../database/database.js';
import { ChangeDetailDto, ChangePageDto } from './change.dto.js';
import { findChange, findChanges, findWebhook } from './changes.queries.js';
import { deliveriesOf } from '../deliveries/deliveries.queries.js';
import { ChangesQuery, afterCursor, pageFrom } from '../list.dto.js';
import { storedUuid } from '../values.js';

@Controller('api/v1/changes')
export class ChangesController {
  constructor(private readonly database: Database) {}

  /** List changes, latest arrival first */
  @Get()
  async list(@Query() query: ChangesQuery): Promise<ChangePageDto> {
    const after = afterCursor(query.cursor, storedUuid);
    const { changes, limit } = await findChanges(this.database, query, after);
    return pageFrom(changes, limit, change => change.id);
  }

  /** Get a change with all its deliveries and attempts */
  @Get(':id')
  async one(@Param('id') id: string): Promise<ChangeDetailDto> {
    const change = isUuid(id) ? await findChange(this.database, id) : null;
    if (!change) throw new NotFoundException('there is no change with this id');
    return { ...change, deliveries: await deliveriesOf(this.database, id) };
  }

  /** Download the body of its webhook, byte for byte, after decompression */
  @Get(':id/webhook')
  @ApiProduces('application/octet-stream')
  @ApiOkResponse({ schema: { type: 'string', format: 'binary' } })
  @Header('X-Content-Type-Options', 'nosniff')
  async webhook(@Param('id') id: string): Promise<StreamableFile> {
    const body = isUuid(id) ? await findWebhook(this.database, id) : null;
    if (!body) throw new NotFoundException('there is no webhook of a change with this id');
    return new StreamableFile(body, { type: 'application/octet-stream', disposition: 'attachment', length: body.length });
  }
}
