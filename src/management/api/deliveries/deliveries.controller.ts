import {
  BadRequestException,
  Body,
  ConflictException,
  Controller,
  Get,
  HttpCode,
  NotFoundException,
  Param,
  Post,
  Query,
} from '@nestjs/common';
import { wellFormed } from '../../../channel/origin.js';
import { Database } from '../../../database/database.js';
import { parseDeliveryId } from '../../../delivery/work.js';
import { SharedClock } from '../../../process/clock.js';
import { AdminActions } from '../../admin-actions.js';
import { findDeliveries, findDelivery } from './deliveries.queries.js';
import { DeliveriesQuery, DeliveryDto, DeliveryPageDto, DiscardDto, ReplayDto, ReplayedDto } from './delivery.dto.js';
import { afterCursor, pageFrom } from '../list.dto.js';
import { configuredSink } from '../sinks/sinks.queries.js';

@Controller('api/v1')
export class DeliveriesController {
  constructor(
    private readonly database: Database,
    private readonly clock: SharedClock,
    private readonly actions: AdminActions,
  ) {}

  /** List deliveries, latest change first */
  @Get('deliveries')
  async list(@Query() query: DeliveriesQuery): Promise<DeliveryPageDto> {
    const deliveries = await findDeliveries(this.database, query, afterCursor(query.cursor, parseDeliveryId));
    return pageFrom(deliveries, query.limit, delivery => delivery.id);
  }

  /** Discard a parked delivery @throws {409} The delivery is not parked */
  @Post('deliveries/:id/discard')
  @HttpCode(200)
  async discard(@Param('id') id: string, @Body() { reason }: DiscardDto): Promise<DeliveryDto> {
    const key = parseDeliveryId(id);
    const was = key && (await this.actions.discardOne(key, reason?.trim() ? ['as_said', wellFormed(reason.trim())] : ['discarded'], 'api'));
    if (!was) throw new NotFoundException('there is no delivery with this id');
    if (was !== 'parked') throw new ConflictException(`it is ${was}: only a parked delivery can be discarded`);
    const shown = await findDelivery(this.database, key);
    if (!shown) throw new NotFoundException('it was deleted meanwhile: it is older than RETENTION_DAYS');
    return shown;
  }

  /**
   * Replay parked (or otherwise ended) deliveries under the same ids; at least one filter is required
   * @throws {404} No sink has this name
   * @throws {409} The sink is no longer configured
   */
  @Post('replays')
  @HttpCode(202)
  async replay(@Body() { dryRun = false, ...selection }: ReplayDto): Promise<ReplayedDto> {
    if (Object.values(selection).every(value => value === undefined))
      throw new BadRequestException('give at least one of sink, sdkAppId, channelId, changeId, state, since, until');
    if (selection.sink !== undefined) await configuredSink(this.database, selection.sink, this.clock.now());
    return this.actions.replay(selection, dryRun, 'api');
  }
}
