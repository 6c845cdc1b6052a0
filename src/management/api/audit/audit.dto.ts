import type { Action } from '../../../database/audit.js';
import { PageDto } from '../list.dto.js';

/** An action of a person. */
export class AuditActionDto {
  /** Ascending @example "17" */
  id!: string;
  /** When it was done */
  at!: Date;
  /** `api`, or `slack:` and the id of the Slack user @example "slack:U0123ABCD" */
  actor!: string;
  /** What was done */
  action!: Action;
  /** The change concerned; null if it is not about a single change */
  changeId!: string | null;
  /** Names, ids and parameters of the action; no profile texts @example { "sink": "crm" } */
  details!: object;
}

export class AuditPageDto extends PageDto {
  /** Latest first */
  items!: AuditActionDto[];
}
