import { Controller, Get, Query } from '@nestjs/common';
import { Database } from '../../../database/database.js';
import type { Action } from '../../../database/audit.js';
import { PeriodQuery, afterCursor, pageFrom } from '../list.dto.js';
import { orElse, toDate } from '../values.js';
import { AuditPageDto } from './audit.dto.js';

@Controller('api/v1/audit')
export class AuditController {
  constructor(private readonly database: Database) {}

  /** List the actions of people through the API and in Slack, latest first */
  @Get()
  async list(@Query() { since, until, limit, cursor }: PeriodQuery): Promise<AuditPageDto> {
    const after = afterCursor(cursor, id => (/^\d{1,15}$/.test(id) ? Number(id) : null));
    const rows = await this.database.kysely
      .selectFrom('audit')
      .selectAll()
      .$narrowType<{ action: Action }>()
      .$if(since !== undefined, found => found.where('at', '>=', since!))
      .$if(until !== undefined, found => found.where('at', '<', until!))
      .$if(after !== null, found => found.where('id', '<', after!))
      .orderBy('id', 'desc')
      .limit(limit + 1)
      .execute();
    const shown = rows.map(({ id, at, actor, action, change_id: changeId, details }) => {
      return { id: String(id), at: toDate(at), actor, action, changeId, details: orElse(() => JSON.parse(details) as object, {}) };
    });
    return pageFrom(shown, limit, row => row.id);
  }
}
