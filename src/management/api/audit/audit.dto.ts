import type { Action } from '../../../database/audit.js';
import { PageDto } from '../list.dto.js';

/** Something that a person did. */
export class AuditActionDto {
  /** Counts up @example "17" */
  id!: string;
  /** When */
  at!: Date;
  /** api, or slack: and the id of a Slack user @example "slack:U0123ABCD" */
  actor!: string;
  /** What was done */
  action!: Action;
  /** The change that it was about; null if it was about no single one */
  changeId!: string | null;
  /** What exactly: names, ids and settings of the call, no profile texts @example { "sink": "crm" } */
  details!: object;
}

export class AuditPageDto extends PageDto {
  /** The latest first */
  items!: AuditActionDto[];
}
