import fc from 'fast-check';
import { english } from './en.js';
import { type Code, type Explanation, inEnglish, readExplanation, stored } from './explanation.js';
import { chinese } from './zh-cn.js';

const codes = Object.keys(english) as Code[];
/** Every code, with parts that no text contains by itself. */
const samples = codes.map(code => [code, '<1>', '<2>', '<3>'] as unknown as Explanation);

test('each has a text in both languages, which names the same parts', () => {
  const parts = (text: string) => text.match(/<\d>/g)?.toSorted() ?? [];
  for (const sample of samples) {
    const [en, zh] = [inEnglish(sample), readExplanation(stored(sample), chinese)];
    expect(parts(zh)).toEqual(parts(en));
    if (['as_said', 'with_answer'].includes(sample[0])) continue;
    expect(zh).toMatch(/\p{Script=Han}/u);
    // A piece of advice is a sentence in both.
    expect(zh.endsWith('。')).toBe(/^[A-Z].* .*\.$/.test(en));
    expect(en).toMatch(/^[A-Z].* .*\.$|[^.]$/);
  }
});

// Seen failing: "timed out after 10000 ms", while Slack's own numbers had units and separators.
test('times and counts are as people write them', () => {
  const both = (sample: Explanation) => [inEnglish(sample), readExplanation(stored(sample), chinese)];
  expect(both(['timed_out_after', 10_000])).toEqual(['timed out after 10 s', '10 秒后超时']);
  expect(both(['timed_out_after', 1500])).toEqual(['timed out after 1.5 s', '1.5 秒后超时']);
  expect(both(['token_timed_out', 999])).toEqual(['the token endpoint timed out after 999 ms', '获取令牌 999 毫秒后超时']);
  expect(both(['too_many_gone', 1200, 1_500_000])).toEqual([
    expect.stringMatching(/^1,200 of 1,500,000 channels /),
    expect.stringMatching(/^1,500,000 个公众号中有 1,200 个/),
  ]);
  expect(inEnglish(['vendor_answered', 130_004])).toBe('Tencent answered 130004');
});

test('an explanation inside another is in the same language', () => {
  const gaveUp = stored(['gave_up', ['proxy_unreachable', ['connection_refused']]]);
  expect(readExplanation(gaveUp)).toBe('gave up: the proxy cannot be reached: connection refused');
  expect(readExplanation(gaveUp, chinese)).toBe('已停止重试：无法连接代理：连接被拒绝');
});

test('what a person or another system said stays as it is, whatever it looks like', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.constantFrom(...samples.map(stored), '["', '["constructor"]', '["nonsense"]')), said => {
      for (const catalogue of [english, chinese]) expect(readExplanation(stored(['as_said', said]), catalogue)).toBe(said);
    }),
  );
});

test('a sentence that an earlier release stored stays as it is', () => {
  for (const text of ['', 'answered 503', '["', '["constructor"]', '["nonsense"]', '[1]', 'null'])
    expect(readExplanation(text, chinese)).toBe(text);
});
