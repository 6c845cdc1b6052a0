import { Body, ConflictException, Get, NotFoundException, Param, Post, Query } from '@nestjs/common';
import { wellFormed } from '../../../channel/origin.js';
import { Database } from '../../../database/database.js';
import { parseDeliveryId } from '../../../delivery/work.js';
import { AdminActions } from '../../admin-actions.js';
import { Api, ApiProblem, Call } from '../api.decorator.js';
import { findDeliveries, findDelivery } from './deliveries.queries.js';
import { DeliveriesQuery, DeliveryDto, DeliveryPageDto } from './delivery.dto.js';
import { afterCursor, pageFrom } from '../list.dto.js';
import { DiscardDto } from './replay.dto.js';

/** What became of changes at sinks. */
@Api('deliveries')
export class DeliveriesController {
  constructor(
    private readonly database: Database,
    private readonly actions: AdminActions,
  ) {}

  @Call(Get(), 'Deliveries, those of the newest change first', DeliveryPageDto)
  @ApiProblem(400, 'A parameter is not what it should be')
  async list(@Query() query: DeliveriesQuery): Promise<DeliveryPageDto> {
    const deliveries = await findDeliveries(this.database, query, afterCursor(query.cursor, parseDeliveryId));
    return pageFrom(deliveries, query.limit, delivery => delivery.id);
  }

  @Call(Post(':id/discard'), 'Give up a parked delivery', DeliveryDto)
  @ApiProblem(404, 'No such delivery is kept')
  @ApiProblem(409, 'It is not parked')
  async discard(@Param('id') id: string, @Body() { reason }: DiscardDto): Promise<DeliveryDto> {
    const key = parseDeliveryId(id);
    const was = key && (await this.actions.discardOne(key, reason?.trim() ? ['as_said', wellFormed(reason.trim())] : ['discarded'], 'api'));
    if (!was) throw new NotFoundException('no delivery with this id is kept');
    if (was !== 'parked') throw new ConflictException(`it is ${was}: only a parked delivery can be discarded`);
    const shown = await findDelivery(this.database, key);
    if (!shown) throw new NotFoundException('it went meanwhile, since it is older than RETENTION_DAYS');
    return shown;
  }
}
