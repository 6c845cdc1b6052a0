import { Get, Inject, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { Database } from '../../database/database.js';
import { deliveryId, parseDeliveryId } from '../../delivery/work.js';
import { Api, ApiProblem } from './api.decorator.js';
import { findDeliveries, showDelivery } from './deliveries.queries.js';
import { DeliveriesQuery, DeliveryPageDto } from './delivery.dto.js';
import { afterCursor, pageOf } from './list.dto.js';

/** What became of changes at sinks. */
@Api('deliveries')
export class DeliveriesController {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** Deliveries, those of the newest change first. 400 for a bad parameter. */
  @Get()
  @ApiOperation({ summary: 'Deliveries, those of the newest change first' })
  @ApiOkResponse({ type: DeliveryPageDto })
  @ApiProblem(400, 'A parameter is not what it should be')
  async list(@Query() query: DeliveriesQuery): Promise<DeliveryPageDto> {
    const rows = await findDeliveries(this.database, query, afterCursor(query.cursor, parseDeliveryId));
    return pageOf(rows, query.limit, row => deliveryId(row.change_id, row.sink), showDelivery);
  }
}
