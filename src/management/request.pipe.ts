import { type ArgumentMetadata, BadRequestException, Injectable, ValidationPipe, type ValidationPipeOptions } from '@nestjs/common';
import { type ValidationError, getMetadataStorage } from 'class-validator';
import { closest } from '../settings/names.js';

const maxDepth = 10;

/** @param kind what a field is called in messages */
const validation = (kind: 'option' | 'parameter'): ValidationPipeOptions => ({
  transform: true,
  whitelist: true,
  forbidNonWhitelisted: true,
  validationError: { target: true },
  exceptionFactory: errors => new BadRequestException(errors.map(error => messageOf(error, kind)).join('; ')),
});

function messageOf({ property, target, constraints = {} }: ValidationError, kind: string): string {
  // Constraints are checked from the last declared to the first, and the first one has the best message.
  if (!('whitelistValidation' in constraints)) return Object.values(constraints).at(-1)!;
  const known = getMetadataStorage().getTargetValidationMetadatas(target!.constructor, '', false, false);
  const names = [...new Set(known.map(({ propertyName }) => propertyName))];
  const near = closest(property, names);
  return `unknown ${kind} ${property}${near === undefined ? '' : `: did you mean ${near}?`} (known: ${names.toSorted().join(', ')})`;
}

/** Validates requests. Unknown fields are rejected: without a misspelled `dryRun` or filter, more would be changed or listed than intended. */
@Injectable()
export class RequestPipe extends ValidationPipe {
  private readonly ofBodies = new ValidationPipe(validation('option'));

  constructor() {
    super(validation('parameter'));
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
