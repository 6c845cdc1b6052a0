/** Every text of a message that is shown, in its order. */
export function shownTexts(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(shownTexts);
  if (typeof value !== 'object' || value === null) return [];
  const shown = new Set(['text', 'alt_text', 'fallback', 'format']);
  return Object.entries(value).flatMap(([key, one]) => (typeof one === 'string' ? (shown.has(key) ? [one] : []) : shownTexts(one)));
}

interface Part {
  type: string;
  text?: string | Part;
  elements?: Part[];
  accessory?: Part;
  style?: Record<string, boolean> | string;
  name?: string;
  fallback?: string;
  user_id?: string;
  image_url?: string;
  action_id?: string;
  value?: string;
}

/** A message as people read it, line by line: ~old~ and *new* as Slack would show them, `[Button]`, dates as without Slack. */
export function linesOf({ blocks }: { blocks: unknown[] }): string[] {
  return (blocks as Part[]).flatMap(({ type, text, elements = [] }) => {
    if (type === 'context')
      return [
        elements
          .filter(one => one.type !== 'image')
          .map(read)
          .join(' | '),
      ];
    if (type === 'actions') return [elements.map(button => `[${read(button.text as Part)}]`).join(' ')];
    return text === undefined ? elements.map(read) : [read(text as Part)];
  });
}

function read(part: Part): string {
  if (part.type === 'emoji') return `:${part.name}:`;
  if (part.type === 'date') return part.fallback ?? '';
  if (part.type === 'user') return `@${part.user_id}`;
  const own = typeof part.text === 'string' ? part.text : '';
  const inside = part.elements?.map(read).join('') ?? own.replace(/<!date\^[^|]*\|([^>]*)>/g, '$1');
  if (part.type === 'rich_text_quote') return `> ${inside}`;
  const style = typeof part.style === 'object' ? part.style : {};
  const marks = Object.entries({ bold: '*', strike: '~', italic: '_', code: '`' }).flatMap(([name, mark]) => (style[name] ? [mark] : []));
  return marks.join('') + inside + marks.reverse().join('');
}
