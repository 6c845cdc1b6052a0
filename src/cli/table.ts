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

/** The value at a path such as `counts.pending`. */
function at(row: object, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | null | undefined)?.[key], row);
}

/** Longer values are cut on a terminal, except in the columns below, where they shift the rest of the row. */
const maxColumnWidth = 60;
const uncutColumns = /^(message|reason|advice|changes|details)$/;

function cut(text: string): string {
  let kept = '';
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (stringWidth(kept + segment) > maxColumnWidth) return `${kept}…`;
    kept += segment;
  }
  return kept;
}

/**
 * Formats rows as a table, with the last part of each path as the title of its column.
 * @param columns the paths of their fields, such as `counts.pending`
 * @param look styles cells for a terminal; without it nothing is cut or coloured
 */
export function table(rows: readonly object[], columns: string, look?: (cell: string) => string): string {
  const paths = columns.split(' ');
  const titles = paths.map(path => path.split('.').at(-1)!);
  const texts = rows.map(row => paths.map(path => (look && !uncutColumns.test(path) ? cut(cell(at(row, path))) : cell(at(row, path)))));
  const widths = titles.map((title, column) => texts.reduce((max, row) => Math.max(max, stringWidth(row[column]!)), title.length));
  const padding = (text: string, column: number): string =>
    column === paths.length - 1 ? '' : ' '.repeat(Math.max(Math.min(widths[column]!, maxColumnWidth + 1) - stringWidth(text), 0) + 2);
  const line = (row: readonly string[], see = look): string =>
    row.map((text, column) => (see?.(text) ?? text) + padding(text, column)).join('');
  return [line(titles, text => text), ...texts.map(row => line(row))].join('\n');
}

/** Objects of a nested list with this many fields or more are shown one by one, not as a table. */
const maxTableFields = 8;

/** Formats an object: one line per field, nested lists below. */
export function record(thing: object, look?: (cell: string) => string): string {
  const entries = Object.entries(thing);
  const isList = (value: unknown): value is object[] => Array.isArray(value) && typeof value[0] === 'object';
  const fields = entries.flatMap(([key, value]): [string, unknown][] => {
    if (isList(value)) return [];
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[plain(key), value]];
    return Object.entries(value).map(([innerKey, inner]) => [plain(`${key}.${innerKey}`), inner]);
  });
  const width = Math.max(...fields.map(([key]) => key.length)) + 2;
  const lines = fields.map(([key, value]) => key.padEnd(width) + (look?.(cell(value)) ?? cell(value)));
  const lists = entries.flatMap(([key, value]) => {
    if (!isList(value)) return [];
    const keys = Object.keys(value[0]!);
    const texts = keys.length < maxTableFields ? [table(value, keys.join(' '), look)] : value.map(item => record(item, look));
    return ['', `${plain(key)}:`, ...texts.map(text => text.replace(/^(?=.)/gm, '  '))];
  });
  return [...lines, ...lists].join('\n');
}
