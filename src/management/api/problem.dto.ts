/** The detail for a path or method that nobody serves; the command line knows it. */
export const noSuchCall = 'there is no such call';

/** An error response, RFC 9457. */
export class ProblemDto {
  /** Always `about:blank`: the status identifies the problem @example "about:blank" */
  type!: 'about:blank';
  /** The standard phrase of the status @example "Not Found" */
  title!: string;
  /** The HTTP status @example 404 */
  status!: number;
  /** What went wrong @example "no sink has this name" */
  detail!: string;
}
