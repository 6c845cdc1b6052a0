import { Controller, Get, Query } from '@nestjs/common';
import { inEnglishOrNull } from '../../../explanations/explanation.js';
import { Database } from '../../../database/database.js';
import { Settings } from '../../../settings/settings.js';
import { PageQuery, afterCursor, pageFrom } from '../list.dto.js';
import { toDateOrNull } from '../times.js';
import { type AppDto, AppPageDto } from './comparison.dto.js';

/** The apps whose webhooks are accepted. */
@Controller('api/v1/apps')
export class AppsController {
  constructor(
    private readonly database: Database,
    private readonly settings: Settings,
  ) {}

  /** List apps and the state of their comparisons with Tencent */
  @Get()
  async list(@Query() { limit, cursor }: PageQuery): Promise<AppPageDto> {
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
