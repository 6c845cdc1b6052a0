import { ParseError, Parser, type Template, TokenKind, type TopLevelToken, type Value, type ValueToken } from 'liquidjs';

// One blank stands for any white space, and `""` for any quoted text.
const value = '[^ ,|:]+';
const argument = `(${value} ?: ?)?${value} ?`;
const filtered = `[^,|:]+(\\| ?${value} ?(: ?${argument}(, ?${argument})*)?)*`;
/** A dot without a name after it, or more than one value in brackets. */
const stray = '(?<!\\.)\\.(?= ?($|[,|:=<>!)\\]]))|\\[[^[\\]]*[ ,|:]';
const tags = [
  `(|if|elsif|unless|case) ${filtered}`,
  `echo( ${filtered})?`,
  `assign [^ ,|:=]+ ?= ?${filtered}`,
  `for ${value} in ${value}(( ?, ?| )(reversed|(limit|offset) ?: ?${value}))*`,
  `tablerow ${value} in ${value}(( ?, ?| )(cols|limit|offset) ?: ?${value})*`,
  `when ${value}( ?, ?${value}| or ${value})*`,
  'cycle [^,|:]+([,|:] ?[^ ,|:][^,|:]*)*',
  `(capture|increment|decrement) ${value}`,
  '(else|break|continue|end\\w+)',
];
/** The name of a tag, none for an output, and what may follow it. */
const complete = new RegExp(`^(?!.*(${stray}))(${tags.join('|')})$`);

/**
 * Reads templates as LiquidJS does, but accepts nothing that LiquidJS would silently ignore: text after a comma, an operator or value too
 * many, and what follows a quote that is not closed.
 */
export class CompleteParser extends Parser {
  override parseTokens(tokens: TopLevelToken[]): Template[] {
    const all = [...tokens];
    const templates = super.parseTokens(tokens);
    let inComment = false;
    for (const token of all) {
      if (token.kind !== TokenKind.Tag && token.kind !== TokenKind.Output) continue;
      const { name = '', content } = token as TopLevelToken & { name?: string; content: string };
      if (name === 'endcomment') inComment = false;
      const fault = inComment ? null : faultOf(name, compact(content.slice(name.length)));
      if (fault !== null) throw new ParseError(new Error(fault), token);
      if (name === 'comment') inComment = true;
    }
    return templates;
  }

  override parseToken(...[token, others]: Parameters<Parser['parseToken']>): ReturnType<Parser['parseToken']> {
    const template = super.parseToken(token, others);
    // Without a value: `reversed` of a loop.
    for (const argument of ((template as Template).arguments?.() ?? []) as Iterable<Value | ValueToken | undefined>) {
      const fault = argument && 'initial' in argument ? expressionFaultOf(argument) : null;
      if (fault !== null) throw new ParseError(new Error(fault), token);
    }
    return template;
  }
}

/** White space becomes one blank, a quoted text `""`, and one that is not closed `"`. */
function compact(text: string): string {
  const plain = text.replace(/(["'])(\\.|(?!\1)[^\\])*(\1?)/gs, (_, quote, _text, end) => (end === '' ? '"' : '""')).replace(/\s+/g, ' ');
  return plain.replace(/([[(]|\.\.) | (?=[\])]|\.\.)/g, '$1').trim();
}

function faultOf(name: string, text: string): string | null {
  // The lines of `liquid` are read as tags of their own.
  if (['#', 'comment', 'raw', 'liquid'].includes(name)) return null;
  if (text.replaceAll('""', '').includes('"')) return 'a quote is not closed';
  if (complete.test(`${name} ${text}`.trimEnd())) return null;
  return 'Liquid would ignore a part of it: a word, comma, colon, dot or | too many, or with nothing after it';
}

function expressionFaultOf({ initial }: Pick<Value, 'initial'>): string | null {
  let values = 0;
  for (const token of initial.postfix) {
    const needed = token.kind !== TokenKind.Operator ? 0 : token.getText() === 'not' ? 1 : 2;
    if (values < needed) return 'an operator lacks a value';
    values += 1 - needed;
  }
  return values > 1 ? 'two values without an operator between them' : null;
}
