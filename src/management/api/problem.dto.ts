/** An error of this port, RFC 9457. */
export class ProblemDto {
  /** Always `about:blank`: the status says what it is about @example "about:blank" */
  type!: 'about:blank';
  /** The status's own phrase @example "Not Found" */
  title!: string;
  /** The HTTP status @example 404 */
  status!: number;
  /** What was wrong, in plain words @example "no sink has this name" */
  detail!: string;
}
