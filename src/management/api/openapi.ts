import { STATUS_CODES } from 'node:http';
import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule, getSchemaPath } from '@nestjs/swagger';
import { EventDto } from './event.dto.js';
import { ProblemDto } from './problem.dto.js';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;
type Schema = Exclude<NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>[string], { $ref: string }>;
type Parameter = Exclude<NonNullable<Operation['parameters']>[number], { $ref: string }> & { schema: Schema };
type Body = { content: Record<string, { schema: { $ref: string } }> };

const aChange = '0198c0de-7a5b-7000-8000-00000000002a';
const instant = '2026-01-31T12:00:00.000Z';
const contentOf = (dto: typeof EventDto | typeof ProblemDto, type: string) => ({ [type]: { schema: { $ref: getSchemaPath(dto) } } });

/** Error responses that every API call may return. */
const commonErrors = {
  400: 'The request is invalid',
  401: 'The bearer token is missing or wrong',
  503: 'The database is unavailable',
};

/** Properties and parameters that mean the same everywhere: the default description, and an example. */
const commonFields: Readonly<Record<string, [description: string, example: unknown]>> = {
  sdkAppId: ['The app', '1400000001'],
  channelId: ['The channel', '@TOA#_shop_news'],
  changeId: ['The change', aChange],
  id: ['Its id', aChange],
  name: ['Its name', 'crm'],
  sink: ["The sink's name", 'crm'],
  status: ['The HTTP status of a failure, if there was one', 422],
  durationMs: ['How long it took, in milliseconds', 120],
  startedAt: ['When it started', instant],
  finishedAt: ['When it ended', instant],
  reason: ['The reason', 'it answered 422'],
  error: ['Why it failed', 'it answered 422'],
  lastError: ['Why it failed', 'it answered 422'],
  response: ['The answer of the target to a failed attempt, without secrets, at most 500 characters', 'name is too long'],
  advice: ['What to do about it', 'Fix the cause at the target, then replay.'],
};

/** The request headers sent to a `webhook` sink. */
const headers: typeof commonFields = {
  'webhook-id': ['The id of the delivery, the same on every attempt and replay', `${aChange}_1`],
  'webhook-timestamp': ['When it was sent, in seconds since 1970', '1769860800'],
  'webhook-signature': ['Signatures as of Standard Webhooks, one per secret of the sink; absent without secrets', 'v1,bm9ldXIrtw…'],
  'idempotency-key': ['The same as webhook-id', `${aChange}_1`],
};

const event: Operation = {
  operationId: 'change',
  summary: 'The request sent to a webhook sink without a template for each change',
  tags: ['sinks'],
  security: [],
  parameters: Object.entries(headers).map(([name, [description, example]]) => {
    return { name, in: 'header', description, schema: { type: 'string', example } };
  }),
  requestBody: { required: true, content: contentOf(EventDto, 'application/json') },
  responses: { '2XX': { description: 'Delivered' }, '4XX': { description: 'Refused, or the sink is misconfigured' } },
};

/** Builds the OpenAPI document from what @nestjs/swagger reads in types and comments (nest-cli.json), and common parts. */
export function openApiOf(app: INestApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('channel-sync')
    .setDescription(
      'Changes of official channels and their deliveries to sinks. Ids are strings, times are ISO 8601, errors are RFC 9457 problems.',
    )
    .setVersion('1')
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addServer('/', 'The management port')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'MANAGEMENT_TOKEN' })
    .build();
  const webhooks = { change: { post: event } };
  const document = SwaggerModule.createDocument(app, { ...config, webhooks }, { extraModels: [EventDto, ProblemDto] });
  const schemas = document.components!.schemas as Record<string, Schema>;
  for (const [path, calls] of Object.entries(document.paths))
    for (const call of Object.values(calls) as Operation[]) {
      complete(path, call);
      const [body] = Object.values((call.requestBody as Body | undefined)?.content ?? {});
      // RequestPipe rejects unknown fields.
      if (body) schemas[body.schema.$ref.split('/').at(-1)!]!.additionalProperties = false;
    }
  for (const { properties = {} } of Object.values(schemas))
    for (const [name, schema] of Object.entries(properties) as [string, Schema][]) describe(name, schema, schema);
  return document;
}

/** Adds what applies to all calls below `/api/v1`; health checks are not below it. */
function complete(path: string, call: Operation): void {
  const [, list] = /^\/api\/v1\/(\w+)/.exec(path) ?? [];
  const { responses } = call;
  call.tags = [list ?? 'health'];
  call.security = list === undefined ? [] : [{ bearer: [] }];
  const may = { ...commonErrors, ...(path.includes('{') && { 404: 'The name or id is unknown, or the object is no longer stored' }) };
  if (list !== undefined) for (const [status, description] of Object.entries(may)) responses[status] = { description };
  for (const [status, response] of Object.entries(responses) as [string, { description: string; content?: object }][]) {
    response.description ||= STATUS_CODES[status]!;
    if (status >= '400' && list !== undefined) response.content = contentOf(ProblemDto, 'application/problem+json');
  }
  for (const parameter of (call.parameters ?? []) as Parameter[]) describe(parameter.name, parameter, parameter.schema);
}

const examples: Readonly<Record<string, unknown>> = { boolean: true, integer: 3, number: 1.5 };

/** Adds the default description and an example. All numbers are integers except those in seconds. */
function describe(name: string, described: { description?: string }, schema: Schema): void {
  const [description, example] = commonFields[name] ?? [];
  if (description !== undefined) described.description ??= description;
  // The compiler lists the members of a union in no fixed order.
  for (const part of [schema, schema.items as Schema | undefined]) if (part?.enum) part.enum = part.enum.map(String).toSorted();
  if (schema.type === undefined) return;
  const types = [schema.type].flat().map(type => (type === 'number' && !name.endsWith('Seconds') ? 'integer' : type));
  schema.type = types.length === 1 ? types[0]! : types;
  schema.example ??= schema.enum?.[0] ?? example ?? (schema.format === 'date-time' ? instant : examples[types[0]!]);
}
