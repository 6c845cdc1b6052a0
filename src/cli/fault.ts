/** Ends a command: the message, which contains no secret, is printed to standard error, and the process exits with `exitCode`. */
export class Fault extends Error {
  /** @param exitCode 1: failed; 2: wrong usage; 78: wrong settings */
  constructor(
    message: string,
    readonly exitCode: 1 | 2 | 78 = 1,
  ) {
    super(message);
  }
}
