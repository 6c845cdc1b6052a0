import { type ArgumentMetadata, BadRequestException, Injectable, ValidationPipe, type ValidationPipeOptions } from '@nestjs/common';

/** No call is given more levels of objects and lists in each other. */
const mostLevels = 10;

const validation: ValidationPipeOptions = {
  transform: true,
  whitelist: true,
  // Rules are checked from the last declared to the first; the first says best what is wrong.
  exceptionFactory: errors => new BadRequestException(errors.map(({ constraints = {} }) => Object.values(constraints).at(-1))),
};

/** Reads and checks what a call is given. In a body nothing may be unknown: a misspelled `dryRun` or selector would change more than was meant. */
@Injectable()
export class RequestPipe extends ValidationPipe {
  private readonly ofBodies = new ValidationPipe({ ...validation, forbidNonWhitelisted: true });

  constructor() {
    super(validation);
  }

  override transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    // The library that reads values into classes overflows the stack on deep ones.
    if (isDeeperThan(mostLevels, value))
      throw new BadRequestException(`give at most ${mostLevels} levels of objects and lists in each other`);
    return metadata.type === 'body' ? this.ofBodies.transform(value, metadata) : super.transform(value, metadata);
  }
}

function isDeeperThan(levels: number, value: unknown): boolean {
  return typeof value === 'object' && value !== null && (levels === 0 || Object.values(value).some(one => isDeeperThan(levels - 1, one)));
}
