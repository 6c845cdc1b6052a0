import { join } from 'node:path';
import type { KnownBlock } from '@slack/types';
import { Ajv } from 'ajv';
import { type Schema, createGenerator } from 'ts-json-schema-generator';
import { shownTexts } from './slack-messages.ts';

/**
 * What of a message Slack would not take: a check against the types of its own package, with the limits that their comments tell, and those that are
 * known from elsewhere. Empty if there is nothing.
 */
export function slackChecker(): (message: { text: string; blocks: KnownBlock[] }) => string[] {
  const path = join(import.meta.dirname, '../../node_modules/@slack/types/dist/index.d.ts');
  const schema = createGenerator({ path, type: 'KnownBlock', skipTypeCheck: true, additionalProperties: false }).createSchema('KnownBlock');
  const limits = addLimits(schema);
  // As few as these would mean that the comments are worded in a new way.
  if (limits < 60) throw new Error(`only ${limits} limits were found in the comments of @slack/types`);
  const validate = new Ajv({ strict: false }).compile({
    type: 'object',
    properties: {
      text: { type: 'string', minLength: 1, maxLength: 3999 },
      blocks: { type: 'array', minItems: 1, maxItems: 50, items: { $ref: '#/definitions/KnownBlock' } },
    },
    required: ['text', 'blocks'],
    additionalProperties: false,
    definitions: schema.definitions,
  });
  return message => {
    const faults = validate(message) ? [] : (validate.errors ?? []).map(({ instancePath, message: why }) => `${instancePath} ${why}`);
    const length = shownTexts(message).join('').length;
    return [
      ...faults,
      ...(length < 10_000 ? [] : [`${length} characters`]),
      ...(hasEmpty(message.blocks) ? ['an empty text or list'] : []),
    ];
  };
}

/** Whether there is a text without characters or a line without elements anywhere, which Slack refuses in rich text, too. */
function hasEmpty(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(
    ([key, one]) => (key === 'text' && one === '') || (key === 'elements' && (one as unknown[]).length === 0) || hasEmpty(one),
  );
}

/** Turns what the comments say of a property's greatest size into rules. Returns how many it found. */
function addLimits(schema: Schema): number {
  let found = 0;
  for (const definition of Object.values(schema.definitions ?? {})) {
    if (typeof definition === 'boolean') continue;
    const forms = [definition, ...(definition.anyOf ?? []), ...(definition.allOf ?? [])];
    for (const { properties = {} } of forms.filter(form => typeof form === 'object')) {
      for (const [name, property] of Object.entries(properties)) {
        if (typeof property === 'boolean') continue;
        const most = mostOf(name, property.description ?? '');
        if (most === null) continue;
        found += 1;
        if (property.type === 'array') property.maxItems = most;
        else if (property.type === 'string') Object.assign(property, { maxLength: most, ...(name === 'text' && { minLength: 1 }) });
        else property.allOf = [{ properties: { text: { maxLength: most } } }];
      }
    }
  }
  return found;
}

function mostOf(name: string, comment: string): number | null {
  if (name === 'image_url') return 3000;
  if (name === 'alt_text') return 2000;
  const match = /maximum (?:length |number )?(?:[a-z' `]*)(?:is|of) (\d+)/i.exec(comment.replace(/\s+/g, ' '));
  return match ? Number(match[1]) : null;
}
