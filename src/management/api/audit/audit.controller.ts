import { Get, Query } from '@nestjs/common';
import { actions } from '../../../database/audit.js';
import { Database } from '../../../database/database.js';
import { answer, oneOf, orNull, pageOf, record, text, time } from '../answer.js';
import { Api, ApiProblem, Call } from '../api.decorator.js';
import { orElse } from '../changes/changes.queries.js';
import { PeriodQuery, afterCursor, pageFrom } from '../list.dto.js';
import { toIso } from '../times.js';

/** Something that a person did. */
class AuditActionDto extends answer({
  id: text(undefined, '17'),
  at: time('When'),
  actor: text('api, or slack: and the id of a Slack user', 'slack:U0123ABCD'),
  action: oneOf(actions),
  changeId: orNull(text('The change that it was about; null if it was about no single one')),
  details: record('What exactly: names, ids and settings of the call, no profile texts', { sink: 'crm' }),
}) {}

class AuditPageDto extends pageOf(AuditActionDto, 'The latest first') {}

/** What people did, through the API or in Slack. */
@Api('audit')
export class AuditController {
  constructor(private readonly database: Database) {}

  @Call(Get(), 'What people did, the latest first', AuditPageDto)
  @ApiProblem(400, 'A parameter is not what it should be')
  async list(@Query() { since, until, limit, cursor }: PeriodQuery): Promise<AuditPageDto> {
    const after = afterCursor(cursor, id => (/^\d{1,15}$/.test(id) ? Number(id) : null));
    const rows = await this.database.kysely
      .selectFrom('audit')
      .selectAll()
      .$if(since !== undefined, found => found.where('at', '>=', since!))
      .$if(until !== undefined, found => found.where('at', '<', until!))
      .$if(after !== null, found => found.where('id', '<', after!))
      .orderBy('id', 'desc')
      .limit(limit + 1)
      .execute();
    const shown = rows.map(({ id, at, actor, action, change_id: changeId, details }) => {
      return { id: String(id), at: toIso(at), actor, action, changeId, details: orElse(() => JSON.parse(details) as object, {}) };
    });
    return pageFrom(shown, limit, row => row.id);
  }
}
