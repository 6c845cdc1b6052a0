import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { advice, adviceInChinese } from './zh-cn-advice.js';

const source = join(import.meta.dirname, '../../..');
const files = globSync(['sinks/**/*.ts', 'delivery/**/*.ts', 'outgoing/**/*.ts'], {
  cwd: source,
  exclude: ['**/*.spec.ts', 'sinks/slack/words/*.ts'],
});

/** Every sentence in the code of sinks and deliveries; all but the summary of a type is advice. `{}` stands for what is put in. */
function sentencesOf(file: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAssignment(node) && node.name.getText() === 'summary') return;
    const text = ts.isStringLiteralLike(node)
      ? node.text
      : ts.isTemplateExpression(node)
        ? node.head.text + node.templateSpans.map(({ literal }) => `{}${literal.text}`).join('')
        : '';
    if (/^[A-Z].* .*\.$/.test(text)) found.push(text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, readFileSync(join(source, file), 'utf8'), ts.ScriptTarget.Latest, true));
  return found;
}

it('is there for every sentence, and for no other', () => {
  expect(Object.keys(advice).sort()).toEqual([...new Set(files.flatMap(sentencesOf))].sort());
  for (const chinese of Object.values(advice)) expect(chinese).toMatch(/\p{Script=Han}.*。$/u);
});

it('keeps the names in it, and is as it was where it is not ours', () => {
  expect(adviceInChinese('Check the credentials of this sink.')).toBe('请检查该目标的凭据。');
  expect(adviceInChinese('Upgrade it: Meilisearch $& 1.16 is the oldest that works.')).toBe('请升级：最低支持版本为 Meilisearch $& 1.16。');
  for (const other of ['', 'Look at the CRM.', 'constructor']) expect(adviceInChinese(other)).toBe(other);
});
