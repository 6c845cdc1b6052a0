import { type ArgumentMetadata, BadRequestException, Injectable, ValidationPipe, type ValidationPipeOptions } from '@nestjs/common';

const maxDepth = 10;

const validation: ValidationPipeOptions = {
  transform: true,
  whitelist: true,
  // Constraints are checked from the last declared to the first, and the first one has the best message.
  exceptionFactory: errors => new BadRequestException(errors.map(({ constraints = {} }) => Object.values(constraints).at(-1)).join('; ')),
};

/** Validates requests. Unknown fields in a body are rejected: a misspelled `dryRun` or filter would change more than intended. */
@Injectable()
export class RequestPipe extends ValidationPipe {
  private readonly ofBodies = new ValidationPipe({ ...validation, forbidNonWhitelisted: true });

  constructor() {
    super(validation);
  }

  override transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    // class-transformer overflows the stack on deeply nested values.
    if (isDeeperThan(maxDepth, value)) throw new BadRequestException(`give at most ${maxDepth} levels of objects and lists in each other`);
    return metadata.type === 'body' ? this.ofBodies.transform(value, metadata) : super.transform(value, metadata);
  }
}

function isDeeperThan(levels: number, value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && (levels === 0 || Object.values(value).some(inner => isDeeperThan(levels - 1, inner)))
  );
}
