import { Controller, HttpCode, type Type, applyDecorators } from '@nestjs/common';
import { ApiBearerAuth, ApiExtraModels, ApiOperation, ApiResponse, ApiTags, getSchemaPath } from '@nestjs/swagger';
import { answer, number, oneOf, text } from './answer.js';

/** An error of this port, RFC 9457. */
export class ProblemDto extends answer({
  type: oneOf(['about:blank']),
  title: text("The status's own phrase", 'Not Found'),
  status: number('The HTTP status', 404),
  detail: text('What was wrong, in plain words'),
}) {}

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

/** A call of the API, and what it is answered; without a type it is no JSON. */
export function Call(route: MethodDecorator, summary: string, type?: Type, status = 200): MethodDecorator {
  return applyDecorators(route, HttpCode(status), ApiOperation({ summary }), ...(type ? [ApiResponse({ status, type })] : []));
}

/** Documents an error of a call. */
export function ApiProblem(status: number, description: string): ClassDecorator & MethodDecorator {
  return ApiResponse({ status, description, content: { 'application/problem+json': { schema: { $ref: getSchemaPath(ProblemDto) } } } });
}
