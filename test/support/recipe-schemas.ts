/** What the services of the recipes document of a request's body, as JSON schemas; `mostBytes` is of UTF-8. Written after the pages that the recipes link to. */

const text = { type: 'string' };
const exactly = (properties: Record<string, object>, optional: string[] = []): object => ({
  type: 'object',
  additionalProperties: false,
  required: Object.keys(properties).filter(name => !optional.includes(name)),
  properties,
});
const listOf = (items: object, least = 1): object => ({ type: 'array', minItems: least, items });

/** HubSpot, POST /crm/v3/objects/{objectType}/batch/upsert: 100 inputs at most; values are texts, `""` clears. */
const hubspot = exactly({
  inputs: {
    ...listOf(
      exactly({
        idProperty: text,
        id: { type: 'string', minLength: 1 },
        properties: { type: 'object', minProperties: 1, additionalProperties: text },
      }),
    ),
    maxItems: 100,
  },
});

/** Salesforce, PATCH /sobjects/{object}/{field}/{value}: fields of the object without the external id itself. */
const longText = { type: ['string', 'null'], maxLength: 131_072 };
const salesforce = exactly({
  Channel_Id__c: { type: 'string', maxLength: 255 },
  Channel_Name__c: longText,
  Avatar_URL__c: longText,
  Introduction__c: longText,
  Organization__c: longText,
  Revision__c: { type: 'number' },
  Exists__c: { type: 'boolean' },
  Changed_At__c: { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' },
});

/** Feishu, custom bot, `post`: paragraphs of tagged parts; a text part shows its text as it is. */
const feishuPart = exactly({ tag: { const: 'text' }, text });
const feishu = {
  mostBytes: 20 * 1024,
  ...exactly({
    msg_type: { const: 'post' },
    content: exactly({ post: exactly({ zh_cn: exactly({ title: text, content: listOf(listOf(feishuPart)) }) }) }),
  }),
};

/** WeCom, group bot, `text`: 2,048 bytes at most. */
const wecom = exactly({
  msgtype: { const: 'text' },
  text: exactly({ content: { type: 'string', minLength: 1, mostBytes: 2048 } }),
});

/** Microsoft Teams, workflow webhook: one adaptive card (adaptivecards.io/explorer), 28 KB at most. */
const textRun = exactly(
  {
    type: { const: 'TextRun' },
    text,
    weight: { enum: ['lighter', 'default', 'bolder'] },
    isSubtle: { type: 'boolean' },
    strikethrough: { type: 'boolean' },
  },
  ['weight', 'isSubtle', 'strikethrough'],
);
const textBlock = exactly(
  {
    type: { const: 'TextBlock' },
    text,
    size: { enum: ['default', 'small', 'medium', 'large', 'extraLarge'] },
    weight: { enum: ['lighter', 'default', 'bolder'] },
  },
  ['size', 'weight'],
);
const teams = {
  mostBytes: 28 * 1024,
  ...exactly({
    type: { const: 'message' },
    attachments: listOf(
      exactly({
        contentType: { const: 'application/vnd.microsoft.card.adaptive' },
        contentUrl: { type: 'null' },
        content: exactly({
          $schema: { const: 'http://adaptivecards.io/schemas/adaptive-card.json' },
          type: { const: 'AdaptiveCard' },
          version: { enum: ['1.2', '1.3', '1.4', '1.5'] },
          body: listOf({ anyOf: [textBlock, exactly({ type: { const: 'RichTextBlock' }, inlines: listOf(textRun) })] }),
        }),
      }),
    ),
  }),
};

/** n8n takes any JSON: what our template promises. */
const orNull = { type: ['string', 'null'] };
const n8n = exactly({
  event: { enum: ['channel.created', 'channel.profile.updated', 'channel.destroyed'] },
  at: text,
  app: text,
  channel: text,
  revision: { type: 'integer' },
  exists: { type: 'boolean' },
  operator: orNull,
  platform: orNull,
  changed: listOf({ enum: ['name', 'avatarUrl', 'introduction', 'organization'] }, 0),
  name: orNull,
  avatar: orNull,
  introduction: orNull,
  organization: orNull,
  test: { type: 'boolean' },
});

export const recipeSchemas: Record<string, object> = { hubspot, salesforce, feishu, wecom, teams, n8n };
