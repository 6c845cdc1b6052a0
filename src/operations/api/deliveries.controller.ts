import { Body, ConflictException, Get, HttpCode, Inject, NotFoundException, Param, Post, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { Database } from '../../database/database.js';
import { deliveryId, parseDeliveryId } from '../../delivery/work.js';
import { Deeds } from '../deeds.js';
import { Api, ApiProblem } from './api.decorator.js';
import { findDeliveries, findDelivery, showDelivery } from './deliveries.queries.js';
import { DeliveriesQuery, DeliveryDto, DeliveryPageDto } from './delivery.dto.js';
import { afterCursor, pageOf, storable } from './list.dto.js';
import { DiscardDto } from './replay.dto.js';

/** What became of changes at sinks. */
@Api('deliveries')
export class DeliveriesController {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Deeds) private readonly deeds: Deeds,
  ) {}

  /** Deliveries, those of the newest change first. 400 for a bad parameter. */
  @Get()
  @ApiOperation({ summary: 'Deliveries, those of the newest change first' })
  @ApiOkResponse({ type: DeliveryPageDto })
  @ApiProblem(400, 'A parameter is not what it should be')
  async list(@Query() query: DeliveriesQuery): Promise<DeliveryPageDto> {
    const rows = await findDeliveries(this.database, query, afterCursor(query.cursor, parseDeliveryId));
    return pageOf(rows, query.limit, row => deliveryId(row.change_id, row.sink), showDelivery);
  }

  /** Gives up a parked delivery. 409 if it is not parked, 404 if it is not (or no longer) known. */
  @Post(':id/discard')
  @HttpCode(200)
  @ApiOperation({ summary: 'Give up a parked delivery' })
  @ApiOkResponse({ type: DeliveryDto })
  @ApiProblem(404, 'No such delivery is kept')
  @ApiProblem(409, 'It is not parked')
  async discard(@Param('id') id: string, @Body() { reason }: DiscardDto): Promise<DeliveryDto> {
    const key = parseDeliveryId(id);
    const done = key && (await this.deeds.discardOne(key, storable(reason?.trim() || 'discarded by a person'), 'api'));
    if (!done) throw new NotFoundException('no delivery with this id is kept');
    if (!done.discarded) throw new ConflictException(`it is ${done.state}: only a parked delivery can be discarded`);
    const shown = await findDelivery(this.database, key);
    if (!shown) throw new NotFoundException('it went meanwhile, since it is older than RETENTION_DAYS');
    return shown;
  }
}
