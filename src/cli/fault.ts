/** Why a command ends: told on standard error, a line each; the process exits with the code. Its text holds no secret. */
export class Fault extends Error {
  /** @param exitCode 1: it did not work; 2: wrong use; 78: wrong settings */
  constructor(
    message: string,
    readonly exitCode: 1 | 2 | 78 = 1,
  ) {
    super(message);
  }
}
