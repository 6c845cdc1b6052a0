import fc from 'fast-check';
import type { Profile } from '../sink.js';
import { LiquidText, TemplateError } from './liquid.js';
import { samples } from './samples.js';
import { type TemplateData, UnusableRendering, bodyTemplate, isJson, successCondition, urlTemplate } from './templates.js';

const { jest } = import.meta;
const sample: TemplateData = samples[0]!;

/** A machine that other machines share counts their time as ours. */
function withoutTimeLimit(): void {
  beforeEach(() => void jest.spyOn(process, 'threadCpuUsage').mockReturnValue({ user: 0, system: 0 }));
  afterEach(() => jest.restoreAllMocks());
}

function withProfile(profile: Partial<Profile>, data: object = {}): TemplateData {
  const { event } = sample;
  return { ...sample, event: { ...event, data: { ...event.data, profile: { ...event.data.profile, ...profile }, ...data } } };
}

const json = (template: string, data = sample): unknown => JSON.parse(bodyTemplate(template, 'application/json')(data)!);

describe('a body', () => {
  withoutTimeLimit();

  it('is made of all that a template is given, every key always', () => {
    const all = '{"type":{{type|json}},"timestamp":{{timestamp|json}},"data":{{data|json}},"origin":{{origin|json}}}';
    for (const data of samples) {
      const { type, timestamp, data: change } = data.event;
      expect(json(all, data)).toEqual({ type, timestamp, data: { ...change, test: false }, origin: data.origin });
    }
    expect(json('{{ data.test }}', withProfile({}, { test: true }))).toBe(true);
    expect(json('{% if data.test %}1{% else %}2{% endif %}')).toBe(2);
  });

  it('takes any text as a value, and nothing is escaped by itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), name => {
        const made = json('{"a":{{ data.profile.name | json }},"b":[{{ data.changes | map: "field" | json }}]}', withProfile({ name }));
        expect(made).toMatchObject({ a: name });
      }),
    );
    expect(bodyTemplate('{{ data.profile.name }}', 'text/plain')(withProfile({ name: '<b>&"' }))).toBe('<b>&"');
  });

  it.each([['skip'], [' \n skip\t'], ['{% if data.revision == 3 %}skip{% endif %}']])('%j sends nothing', template => {
    expect(bodyTemplate(template, 'application/json')(sample)).toBeNull();
  });

  it.each([
    ['', 'rendering_empty'],
    [' \n', 'rendering_empty'],
    ['skip it', 'rendering_not_json'],
    ['{"a":}', 'rendering_not_json'],
  ])('%j is %s', (template, code) => {
    const render = (): unknown => bodyTemplate(template, 'application/json')(sample);
    expect(render).toThrow(UnusableRendering);
    expect(render).toThrow(expect.objectContaining({ why: [code] }) as Error);
  });

  it('has 1 MB at most, in UTF-8', () => {
    const render = bodyTemplate('{{ data.profile.name }}', 'text/plain');
    expect(render(withProfile({ name: 'é'.repeat(500_000) }))).toHaveLength(500_000);
    expect(() => render(withProfile({ name: 'é'.repeat(530_000) }))).toThrow('more than 1 MB');
    expect(() => render(withProfile({ introduction: 'a'.repeat(2_000_000) }))).toThrow('more than 1 MB');
  });

  it('has times in UTC, whatever the zone of the process', () => {
    expect(bodyTemplate('{{ timestamp | date: "%Y-%m-%d %H:%M %z" }}', 'text/plain')(sample)).toBe('2022-12-09 08:26 +0000');
  });

  it('has the items of a list one after the other, and nothing for null', () => {
    const list = '{{ data.changes | map: "field" }}{{ data.operator }}{{ data.revision }}{{ data.exists }}';
    expect(
      new LiquidText(list).render({
        data: { changes: [{ field: 'a' }, { field: ['b', null, ['c']] }], operator: null, revision: 3, exists: true },
      }),
    ).toBe('abc3true');
  });

  it('holds no half characters', () => {
    const body = bodyTemplate('{{ data.profile.name | split: "" | first }}!', 'text/plain')(withProfile({ name: '😀' }));
    expect(body).toBe('\ufffd!');
  });

  test.each(['application/json', 'application/json; charset=utf-8', 'application/vnd.api+json', 'APPLICATION/JSON'])('%s is JSON', type =>
    expect(isJson(type)).toBe(true),
  );
  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonl', 'text/json5'])('%s is not', type =>
    expect(isJson(type)).toBe(false),
  );
});

describe('a URL', () => {
  withoutTimeLimit();

  const at = (template: string, channelId: string): string => urlTemplate(template)(withProfile({}, { channelId }));

  it('has every value percent-encoded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), id => {
        fc.pre(!/^\.{1,2}$/.test(id));
        const url = new URL(at('https://crm.example.com/a/{{ data.channelId }}/b?x={{ data.channelId }}&y=1', id));
        expect([url.host, url.hash, url.searchParams.get('y')]).toEqual(['crm.example.com', '', '1']);
        expect(url.pathname.split('/')).toHaveLength(4);
        expect(decodeURIComponent(url.pathname.split('/')[2]!)).toBe(id);
        expect(url.searchParams.get('x')).toBe(id);
      }),
    );
    expect(at('https://a/{{ "x/y" }}', '')).toBe('https://a/x%2Fy');
    expect(at('https://a/{{ data.revision }}?e={{ data.exists }}&n={{ origin.none | default: "" }}', '')).toBe('https://a/3?e=true&n=');
  });

  it.each(['', '.', '..'])('does not take %j as a part of its path', id => {
    for (const template of [
      'https://a/{{ data.channelId }}',
      'https://a/x/{{ data.channelId }}/y',
      'https://a/x{% if true %}/{% endif %}{{ data.channelId }}',
      'https://a/x\\{{ data.channelId }}',
      'https://a/{% echo data.channelId %}',
      'https://a/{% cycle data.channelId %}',
    ])
      expect(() => at(template, id)).toThrow(UnusableRendering);
    expect(at('https://a/{{ data.channelId }}x?y={{ data.channelId }}', id)).toBe(`https://a/${id}x?y=${id}`);
  });

  it('does not take two values that make dots, either', () => {
    expect(() => at('https://a/{{ data.channelId }}{{ data.channelId }}', '.')).toThrow(UnusableRendering);
    expect(() => at('https://a/%2e{{ data.channelId }}', '.')).toThrow(UnusableRendering);
  });

  it('keeps slashes of its own', () => expect(at('https://a//x/{{ data.channelId }}/', 'b')).toBe('https://a//x/b/'));

  it.each(['https://a/{{ data.channelId | raw }}', 'https://a/{% capture x %}{{ data.channelId }}{% endcapture %}{{ x }}'])(
    'has every value percent-encoded once: %s is none',
    template => {
      expect(() => urlTemplate(template)).toThrow(TemplateError);
    },
  );
});

test('slice goes by numbers and by texts of digits', () => {
  const sliced =
    '{{ "abcdef" | slice: "2", 3 }} {{ "abcdef" | slice: -2, "2" }} {{ "abcdef" | slice: 1 }} {{ "a,b,c" | split: "," | slice: 1, 2 | join }}';
  expect(new LiquidText(sliced).render({})).toBe('cde ef b b c');
});

describe('a condition', () => {
  test.each<[string, number, string, boolean]>([
    ['answer.code == 0', 200, '{"code":0}', true],
    ['answer.code == 0', 200, '{"code":9499,"msg":"Bad Request"}', false],
    ['answer.code == 0', 200, '{}', false],
    ['answer.code == 0', 200, 'ok', false],
    ['answer.code == 0', 200, '', false],
    ['answer == "ok"', 200, 'ok', true],
    ['answer contains "1"', 200, 'a 1', true],
    ['status == 201 or answer.errors.size == 0', 200, '{"errors":[]}', true],
    ['answer.hasErrors == false', 200, '{"hasErrors":false}', true],
    ['answer.a.b.c', 200, 'null', false],
  ])('%s of %i %s is %s', (condition, status, body, holds) => expect(successCondition(condition)(status, body)).toBe(holds));

  test.each(['anwser.code == 0', '{{ answer }}', 'answer %}{% if true', '', 'answer | nofilter'])('%j is none', condition => {
    expect(() => successCondition(condition)).toThrow(TemplateError);
  });
});

describe('a hostile template', () => {
  const many = 'a'.repeat(300_000);
  const data = {
    s: many + many,
    digits: '1'.repeat(500_000),
    mid: `${'a'.repeat(150_000)}b${'a'.repeat(150_000)}`,
    tags: '<script'.repeat(80_000),
    quotes: "'x".repeat(300_000),
    o: {},
  };
  test.each([
    '{% for i in (1..1000000000) %}{{ i }}{% endfor %}',
    '{% for i in (1..99999) %}{% for j in (1..99999) %}{% endfor %}{% endfor %}',
    '{% for i in (1..99999) %}{% for j in (1..99999) %}x{% endfor %}{% endfor %}',
    '{% tablerow i in (1..99999) cols:1 %}x{% endtablerow %}',
    '{{ (1..99999999) | size }}',
    '{% assign a = "xx" %}{% for i in (1..99) %}{% assign a = a | append: a %}{% endfor %}{{ a }}',
    '{% assign a = "x,y" | split: "," %}{% for i in (1..99) %}{% assign a = a | concat: a %}{% endfor %}',
    '{{ s | replace: "a", s }}',
    '{{ s | split: "" | join: s }}',
    '{{ s | replace: mid, "" }}',
    '{{ s | split: mid }}',
    '{{ s | remove: mid }}',
    '{% if s contains mid %}x{% endif %}',
    '{{ tags | strip_html }}',
    '{% for i in (1..800) %}{{ s }}{% endfor %}',
    '{% assign a = "x" | split: "," %}{% for i in (1..800) %}{% assign a = a | push: s %}{% endfor %}{{ a }}',
    '{{ "a" | split: "" | where_exp: "x", quotes }}',
    `{{ s${' | upcase | json'.repeat(5000)} }}`,
    `{{ s${' | sample: 9 | append: s'.repeat(3000)} }}`,
    `${'{% if true %}'.repeat(7000)}${'{% endif %}'.repeat(2000)}`,
    `${'{% if true %}'.repeat(4000)}x${'{% endif %}'.repeat(4000)}`,
    '{'.repeat(90_000),
    '{{'.repeat(45_000),
    `{{ "${'['.repeat(90_000)}" }}`,
    `{{ ${'('.repeat(40_000)} }}`,
    'x'.repeat(200_000),
    '{% include "a" %}',
    '{% render "a" %}',
    '{% layout "a" %}',
    '{% block a %}{% endblock %}',
    '{% include s %}',
    '{{ o.__proto__.x }}',
    '{{ o.constructor.constructor }}',
    '{{ s.constructor }}',
    '{{ "" | where_exp: "x", "constructor" }}',
    '{{ "x" | date: "%99999999999d" }}',
    '{{ 1 | times: 1e308 | times: 1e308 }}',
    '{{ s | slugify | truncatewords: 99999999 }}',
    '{{ digits | slice: digits }}',
    '{{ digits | slice: 0, digits }}',
    `{% case 1 %}{% when ${'a or b, '.repeat(5000)}${'cor'.repeat(9000)} | %}{% endcase %}`,
    `{{ s | slice: ${'a:b, '.repeat(9000)}, }}`,
    `{{ s ${'| append: s '.repeat(3000)}, }}`,
    `{% for x in s${' reversed'.repeat(9000)}reversed, %}{% endfor %}`,
    `{% cycle ${'a:b,c|d,'.repeat(9000)} %}`,
    `{{ s${'[0] '.repeat(9000)} ${'.a '.repeat(9000)}. }}`,
    `{% # ${'"\\'.repeat(30_000)} %}{% if "${'\\"'.repeat(15_000)} %}{% endif %}`,
  ])('neither hangs nor ends the process: %.60s', template => {
    const at = performance.now();
    const said = (): string => {
      try {
        return new LiquidText(template).render(data);
      } catch (error) {
        return error instanceof TemplateError ? 'refused' : 'another error';
      }
    };
    expect(said()).not.toMatch(/function|native code|another error/);
    // Many times the duration on an idle core.
    expect(performance.now() - at).toBeLessThan(3000);
  });

  it('takes no memory for a text that is too long to be sent', () => {
    const before = process.memoryUsage().rss;
    expect(() => new LiquidText('{% for i in (1..800) %}{{ s }}{% endfor %}').render(data)).toThrow('memory alloc limit exceeded');
    expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000);
  });

  it('changes nothing for others', () => {
    const wicked = withProfile({}, { changes: JSON.parse('[{"__proto__":{"polluted":1}}]') as never });
    bodyTemplate('{% assign x = data.changes %}{{ data.changes | map: "__proto__" | json }}', 'text/plain')(wicked);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});
