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
import { validate as isUuid } from 'uuid';
import { Database } from '../../../database/database.js';
import { inEnglishOrNull } from '../../../explanations/explanation.js';
import { readComparison } from '../../../reconcile/comparison.js';
import { Settings } from '../../../settings/settings.js';
import { AdminActions } from '../../admin-actions.js';
import { PageQuery, afterCursor, pageFrom } from '../list.dto.js';
import { storedUuid, toDateOrNull } from '../values.js';
import {
  type AppDto,
  AppPageDto,
  ComparisonDto,
  ComparisonPageDto,
  ComparisonRequestDto,
  ComparisonsQuery,
  ImportRequestDto,
  showComparison,
} from './comparison.dto.js';

/** The requested app, or the only one with a secret key. @throws HttpException if there is none */
function appOf({ apps, SDK_APP_IDS }: Settings, sdkAppId: string | undefined): string {
  if (sdkAppId === undefined && apps.length !== 1) {
    const none = 'no app has a secret key: set APP_<SDKAPPID>_SECRET_KEY';
    throw new BadRequestException(apps.length === 0 ? none : 'give sdkAppId: several apps have a secret key');
  }
  const id = sdkAppId ?? apps[0]!.sdkAppId;
  if (!SDK_APP_IDS.includes(id)) throw new ConflictException('this app is not one of SDK_APP_IDS, and has no APP_<SDKAPPID>_SECRET_KEY');
  if (!apps.some(app => app.sdkAppId === id))
    throw new ConflictException(`this app is not compared with Tencent: set APP_${id}_SECRET_KEY`);
  return id;
}

/** Comparisons of channels with Tencent through its REST API, imports of channels that are not known yet, and the apps. */
@Controller('api/v1')
export class ComparisonsController {
  constructor(
    private readonly database: Database,
    private readonly settings: Settings,
    private readonly actions: AdminActions,
  ) {}

  /** Compare all or some channels of an app with Tencent, and correct the differences @throws {409} The app has no secret key */
  @Post('comparisons')
  @HttpCode(202)
  async compare(@Body() { sdkAppId, ...options }: ComparisonRequestDto): Promise<ComparisonDto> {
    return showComparison(await this.actions.compare({ ...options, sdkAppId: appOf(this.settings, sdkAppId), cause: 'request' }, 'api'));
  }

  /** List comparisons, latest first */
  @Get('comparisons')
  async list(@Query() { sdkAppId, limit, cursor }: ComparisonsQuery): Promise<ComparisonPageDto> {
    const after = afterCursor(cursor, storedUuid);
    const rows = await this.database.kysely
      .selectFrom('comparison')
      .selectAll()
      .$if(sdkAppId !== undefined, found => found.where('sdk_app_id', '=', sdkAppId!))
      .$if(after !== null, found => found.where('id', '<', after!))
      .orderBy('id', 'desc')
      .limit(limit + 1)
      .execute();
    const { items, nextCursor } = pageFrom(rows, limit, row => row.id);
    return { items: items.map(row => showComparison(readComparison(row))), nextCursor };
  }

  /** Get the progress and result of a comparison */
  @Get('comparisons/:id')
  async one(@Param('id') id: string): Promise<ComparisonDto> {
    const row = isUuid(id) && (await this.database.kysely.selectFrom('comparison').selectAll().where('id', '=', id).executeTakeFirst());
    if (!row) throw new NotFoundException('there is no comparison with this id');
    return showComparison(readComparison(row));
  }

  /** Import channels by their ids; invalid or nonexistent ids do not affect the others @throws {409} The app has no secret key */
  @Post('imports')
  @HttpCode(202)
  async import(@Body() { sdkAppId, channelIds }: ImportRequestDto): Promise<ComparisonDto> {
    return showComparison(await this.actions.compare({ channelIds, sdkAppId: appOf(this.settings, sdkAppId), cause: 'import' }, 'api'));
  }

  /** List apps and the state of their comparisons with Tencent */
  @Get('apps')
  async apps(@Query() { limit, cursor }: PageQuery): Promise<AppPageDto> {
    const { apps, SDK_APP_IDS } = this.settings;
    const after = afterCursor(cursor, id => (SDK_APP_IDS.includes(id) ? id : null));
    const ids = [...new Set(SDK_APP_IDS)];
    const { items, nextCursor } = pageFrom(ids.slice(after === null ? 0 : ids.indexOf(after) + 1), limit, id => id);
    const { kysely } = this.database;
    const isShown = this.database.isAmong('sdk_app_id', items);
    const rows = await kysely.selectFrom('app').selectAll().$narrowType<Pick<AppDto, 'state'>>().where(isShown).execute();
    const counted = kysely.selectFrom('channel').select(['sdk_app_id', ({ fn }) => fn.countAll<number>().as('n')]);
    const counts = await counted.where(isShown).groupBy('sdk_app_id').execute();
    const shown = items.map((sdkAppId): AppDto => {
      const row = rows.find(row => row.sdk_app_id === sdkAppId);
      const on = apps.some(app => app.sdkAppId === sdkAppId);
      return {
        sdkAppId,
        comparisons: on ? 'on' : 'off',
        state: on ? (row?.state ?? 'ok') : 'off',
        reason: on ? inEnglishOrNull(row?.reason ?? null) : null,
        advice: on ? inEnglishOrNull(row?.advice ?? null) : null,
        channels: counts.find(count => count.sdk_app_id === sdkAppId)?.n ?? 0,
        lastWebhookAt: toDateOrNull(row?.webhook_at ?? null),
        lastComparisonAt: toDateOrNull(row?.compared_all_at ?? null),
      };
    });
    return { items: shown, nextCursor };
  }
}
