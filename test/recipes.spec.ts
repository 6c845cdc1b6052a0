import { readFileSync, readdirSync } from 'node:fs';
import { Ajv } from 'ajv';
import { parse } from 'dotenv';
import fc from 'fast-check';
import type { CrmWebhookSettings } from '../src/sinks/crm-webhook/crm-webhook.settings.js';
import { samples } from '../src/sinks/crm-webhook/samples.js';
import { type TemplateData, bodyTemplate, successCondition, urlTemplate } from '../src/sinks/crm-webhook/templates.js';
import { readSettings } from '../src/settings/settings.js';
import { recipeSchemas } from './support/recipe-schemas.js';

const { jest } = import.meta;
const recipes = Object.keys(recipeSchemas);
const page = (recipe: string): string => readFileSync(`docs/recipes/${recipe}.md`, 'utf8');

/** What a page gives to paste, as the service reads it. */
function pasted(recipe: string): CrmWebhookSettings {
  const block = /```sh\n([^]*?)```/.exec(page(recipe))![1]!;
  return readSettings({ SDK_APP_IDS: '1400000001', ...parse(block) }).sinks[0]!.settings as CrmWebhookSettings;
}

const ajv = new Ajv({ allowUnionTypes: true });
ajv.addKeyword({
  keyword: 'mostBytes',
  schemaType: 'number',
  validate: (most: number, value: unknown) => Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value)) <= most,
});

/** Any change, with texts that may be long, and hold anything. */
const value = fc.option(
  fc.oneof(fc.string({ unit: 'binary', maxLength: 2000 }), fc.constantFrom('', '</a>"\\\n', '😀'.repeat(1000), '<at user_id="all"></at>')),
);
const anyChange = fc
  .tuple(fc.constantFrom(...samples), fc.array(value, { minLength: 4, maxLength: 4 }), fc.boolean())
  .map(([sample, values, test]): TemplateData => {
    const { data } = sample.event;
    const [name, avatarUrl, introduction, organization] = values as [string, string, string, string];
    const changes = data.changes.map((change, index) => ({ ...change, from: values[(index + 1) % 4]!, to: values[index]! }));
    const told = { ...data, changes, profile: { name, avatarUrl, introduction, organization }, ...(test && { test: true as const }) };
    return { ...sample, event: { ...sample.event, data: told } };
  });

// What a template makes is tested here, not its time: a machine that other machines share counts their time as ours.
beforeEach(() => void jest.spyOn(process, 'threadCpuUsage').mockReturnValue({ user: 0, system: 0 }));

test('every recipe has a page, a template and a schema', () => {
  expect(readdirSync('docs/recipes/templates').toSorted()).toEqual(recipes.map(recipe => `${recipe}.liquid`).toSorted());
  expect(
    readdirSync('docs/recipes')
      .filter(name => name.endsWith('.md') && name !== 'README.md')
      .toSorted(),
  ).toEqual(recipes.map(recipe => `${recipe}.md`).toSorted());
});

describe.each(recipes)('%s', recipe => {
  const { TEMPLATE, CONTENT_TYPE, URL: url, SUCCESS } = pasted(recipe);
  const render = bodyTemplate(TEMPLATE!, CONTENT_TYPE);
  const isRight = ajv.compile(recipeSchemas[recipe]!);
  const made = (data: TemplateData): unknown => JSON.parse(render(data)!);

  it('makes what the service documents', () => {
    expect(TEMPLATE).toBe(readFileSync(`docs/recipes/templates/${recipe}.liquid`, 'utf8').trim());
    for (const sample of samples) expect([sample.about, isRight(made(sample)) || isRight.errors]).toEqual([sample.about, true]);
    fc.assert(fc.property(anyChange, data => expect(isRight(made(data)) || isRight.errors).toBe(true)));
  });

  it('says no to what is not of the service', () => {
    for (const other of [{}, [], { text: 'x' }, { ...(made(samples[0]!) as object), more: 1 }]) expect(isRight(other)).toBe(false);
  });

  it('says that it was not tried against the service', () => expect(page(recipe)).toContain('not tried against the service itself'));

  it('has a URL for each channel, or one for all', () => {
    for (const sample of samples) expect(URL.canParse(urlTemplate(url)(sample))).toBe(true);
  });

  it('knows a refusal', () => {
    const answers: Record<string, [status: number, body: string, well: boolean][]> = {
      hubspot: [
        [200, '{"status":"COMPLETE","results":[{"id":"1"}]}', true],
        [201, '{"status":"COMPLETE","results":[{"id":"1"}]}', true],
        [207, '{"status":"COMPLETE","results":[],"numErrors":1,"errors":[{"status":"error","message":"no such property"}]}', false],
      ],
      feishu: [
        [200, '{"code":0,"data":{},"msg":"success"}', true],
        [200, '{"code":9499,"msg":"Bad Request","data":{}}', false],
      ],
      wecom: [
        [200, '{"errcode":0,"errmsg":"ok"}', true],
        [200, '{"errcode":93000,"errmsg":"invalid webhook url"}', false],
      ],
    };
    const succeeds = SUCCESS === undefined ? null : successCondition(SUCCESS);
    expect(succeeds !== null).toBe(recipe in answers);
    for (const [status, body, well] of answers[recipe] ?? []) expect([body, succeeds!(status, body)]).toEqual([body, well]);
  });
});
