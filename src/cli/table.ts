import stringWidth from 'string-width';

/** Characters that may move the cursor, break the line or change the text direction. */
const controls = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Makes any text safe to print on one line of a terminal. */
export function plain(text: string): string {
  return text.toWellFormed().replace(controls, '\ufffd');
}

/** The text of a value in a table; `-` if unknown. */
function cell(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (value === '') return '""';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(cell).join(', ');
  if (typeof value !== 'object') return plain(String(value as string | number | boolean));
  if ('from' in value && 'to' in value && 'field' in value) return `${cell(value.field)}: ${cell(value.from)} → ${cell(value.to)}`;
  return Object.entries(value)
    .filter(([, inner]) => inner !== null && inner !== undefined)
    .map(([key, inner]) => `${plain(key)}=${cell(inner)}`)
    .join(' ');
}

function at(row: object, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | null | undefined)?.[key], row);
}

/** Columns are no wider than this: a longer cell shifts the rest of its row. */
const maxColumnWidth = 60;

/** Formats rows as a table; `columns` are paths of fields, such as `counts.pending`, and `look` styles cells for a terminal. */
export function table(rows: readonly object[], columns: string, look = (cell: string): string => cell): string {
  const paths = columns.split(' ');
  const titles = paths.map(path => path.split('.').at(-1)!);
  const texts = rows.map(row => paths.map(path => cell(at(row, path))));
  const widths = titles.map((title, column) => {
    const widest = texts.reduce((max, row) => Math.max(max, stringWidth(row[column]!)), title.length);
    return Math.min(widest, maxColumnWidth);
  });
  const padding = (text: string, column: number): string => ' '.repeat(Math.max(widths[column]! - stringWidth(text), 0));
  const line = (row: readonly string[], style: typeof look): string =>
    row
      .map((text, column) => style(text) + padding(text, column))
      .join('  ')
      .trimEnd();
  return [line(titles, text => text), ...texts.map(row => line(row, look))].join('\n');
}

/** Objects of a nested list with this many fields or more are shown one by one, not as a table. */
const maxTableFields = 8;

/** Formats an object: one line per field, nested lists below. */
export function record(thing: object, look = (cell: string): string => cell): string {
  const entries = Object.entries(thing);
  const isList = (value: unknown): value is object[] => Array.isArray(value) && typeof value[0] === 'object';
  const fields = entries.flatMap(([key, value]): [string, unknown][] => {
    if (isList(value)) return [];
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[plain(key), value]];
    return Object.entries(value).map(([innerKey, inner]) => [plain(`${key}.${innerKey}`), inner]);
  });
  const width = Math.max(...fields.map(([key]) => key.length)) + 2;
  const lines = fields.map(([key, value]) => key.padEnd(width) + look(cell(value)));
  const lists = entries.flatMap(([key, value]) => {
    if (!isList(value)) return [];
    const keys = Object.keys(value[0]!);
    const texts = keys.length < maxTableFields ? [table(value, keys.join(' '), look)] : value.map(item => record(item, look));
    return ['', `${plain(key)}:`, texts.map(text => text.replace(/^(?=.)/gm, '  ')).join('\n\n')];
  });
  return [...lines, ...lists].join('\n');
}
