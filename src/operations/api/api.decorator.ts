import { Controller, applyDecorators } from '@nestjs/common';
import { ApiBearerAuth, ApiExtraModels, ApiProperty, ApiResponse, ApiTags, getSchemaPath } from '@nestjs/swagger';

/** An error of this port, RFC 9457. */
export class ProblemDto {
  @ApiProperty({ enum: ['about:blank'] })
  type!: string;

  @ApiProperty({ description: "The status's own phrase", example: 'Not Found' })
  title!: string;

  @ApiProperty({ description: 'The HTTP status', example: 404 })
  status!: number;

  @ApiProperty({ description: 'What was wrong, in plain words' })
  detail!: string;
}

/** A controller of the API: below `/api/v1`, and so behind the token, and in the documentation. There is no other way in, so that none is forgotten. */
export function Api(path: string): ClassDecorator {
  return applyDecorators(
    Controller(`api/v1/${path}`),
    ApiTags(path),
    ApiBearerAuth(),
    ApiExtraModels(ProblemDto),
    ApiProblem(401, 'The bearer token is missing or wrong'),
    ApiProblem(503, 'The database does not answer just now'),
  );
}

/** Documents an error of a call. */
export function ApiProblem(status: number, description: string): ClassDecorator & MethodDecorator {
  return ApiResponse({ status, description, content: { 'application/problem+json': { schema: { $ref: getSchemaPath(ProblemDto) } } } });
}
