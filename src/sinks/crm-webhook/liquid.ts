import { Context, type Emitter, type FilterImplOptions, Liquid, type Template, defaultOperators, toValueSync } from 'liquidjs';
import { CompleteParser } from './grammar.js';

/** CPU time limit for one rendering. */
export const renderMs = 50;
/** LiquidJS limits for one rendering and for the template, in characters. */
const memoryLimit = 1_000_000;
const parseLimit = 100_000;
/** Limit for what a rendering makes, in characters: more than may be sent. */
const outputLimit = 2_000_000;
/** Limit for substring searches, which in the worst case take the product of both lengths in steps. */
const maxSearchSteps = 100_000_000;

export class TemplateError extends Error {
  /** @param message may quote the template and data @param place position in the template, as `line 1, column 2` */
  constructor(
    message: string,
    readonly place: string,
    readonly isTimeout = false,
  ) {
    super(message);
  }

  /** The error and its position, without any data. */
  get fact(): string {
    const isPlain = /^(undefined (variable|filter): [\w.-]+|memory alloc limit exceeded)$/.test(this.message);
    return `${isPlain ? this.message : 'see the template'}, ${this.place}`;
  }
}

interface Filtering {
  context: { renderLimit: { check(now: number): void } };
}

/** Counts CPU time of this thread: LiquidJS counts wall-clock time, which on a busy machine includes other processes. */
function timeLimit() {
  const [until, before] = [performance.now() + renderMs, process.threadCpuUsage()];
  return {
    check(now: number): void {
      if (now <= until) return;
      const { user, system } = process.threadCpuUsage(before);
      if (user + system > renderMs * 1000) throw new Error('template render limit exceeded');
    },
  };
}

/** Collects a rendering, which LiquidJS itself does not limit. */
class LimitedOutput implements Emitter {
  buffer = '';

  write(part: unknown): void {
    for (const text of [part].flat(Infinity) as (string | null | undefined)[]) {
      this.buffer += text ?? '';
      if (this.buffer.length > outputLimit) throw new Error('memory alloc limit exceeded');
    }
  }
}

/** An operator's Liquid template, sandboxed: no files, no other templates, limited time and memory. */
export class LiquidText {
  private readonly engine: Liquid;
  private readonly templates: Template[];

  /** @param prefixLength characters at the start that the operator did not write, to correct positions in errors @throws TemplateError */
  constructor(
    text: string,
    escape?: (value: unknown) => string,
    private readonly prefixLength = 0,
  ) {
    this.engine = new Liquid({
      memoryLimit,
      parseLimit,
      templates: {},
      ownPropertyOnly: true,
      strictVariables: true,
      strictFilters: true,
      lenientIf: true,
      timezoneOffset: 0,
      operators: { ...defaultOperators, contains: contained },
      ...(escape && { outputEscape: escape }),
    });
    for (const tag of ['include', 'render', 'layout', 'block']) delete this.engine.tags[tag];
    for (const [name, filter] of Object.entries(this.engine.filters)) this.engine.registerFilter(name, guarded(name, filter));
    // `raw` would bypass the escape, and captured text would be escaped twice.
    if (escape) {
      delete this.engine.filters['raw'];
      delete this.engine.tags['capture'];
    }
    this.templates = this.convertErrors(() => new CompleteParser(this.engine).parse(text));
  }

  get variables(): string[] {
    return this.engine.globalVariablesSync(this.templates);
  }

  render(data: object): string {
    const renderLimit = timeLimit() as Context['renderLimit'];
    const context = new Context(data, this.engine.options, {}, { renderLimit, liquid: this.engine });
    const output = new LimitedOutput();
    this.convertErrors(() => toValueSync(this.engine.renderer.renderTemplates(this.templates, context, output)));
    return output.buffer.toWellFormed();
  }

  private convertErrors<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      const { message, originalError, token } = error as Error & { originalError?: Error; token?: { getPosition(): [number, number] } };
      const [line = 1, column = 1 + this.prefixLength] = token?.getPosition() ?? [];
      const fact = originalError?.message ?? message.replace(/(, file:.*)?, line:\d+, col:\d+$/s, '');
      const place = `line ${line}, column ${Math.max(1, line === 1 ? column - this.prefixLength : column)}`;
      throw new TemplateError(fact, place, fact === 'template render limit exceeded');
    }
  }
}

/** Adds limits to a filter: LiquidJS checks the time only between outputs, each of which may have any number of filters. */
function guarded(name: string, filter: FilterImplOptions): FilterImplOptions {
  const plain = typeof filter === 'function' ? filter : filter.handler;
  const seeks = /^(split|replace|remove)/.test(name);
  function handler(this: Filtering, value: unknown, ...args: unknown[]): unknown {
    this.context.renderLimit.check(performance.now());
    if (seeks) searchable(value, args[0]);
    // `sample` shuffles all characters of a text.
    if (name === 'sample') searchable(value, value);
    // An expression in a text is parsed when it is used.
    if (name.endsWith('_exp') && args.some(arg => String(arg).length > parseLimit)) throw new Error('parse length limit exceeded');
    // `slice` would convert a long text to a number again for each character.
    return Reflect.apply(plain, this, [value, ...(name === 'slice' ? args.map(Number) : args)]);
  }
  return (typeof filter === 'function' ? handler : { ...filter, handler }) as FilterImplOptions;
}

const contained: (typeof defaultOperators)[string] = (text, sought, context) =>
  searchable(text, sought) && defaultOperators['contains']!(text, sought, context);

function searchable(text: unknown, sought: unknown): true {
  if (typeof text === 'string' && typeof sought === 'string' && text.length * sought.length > maxSearchSteps)
    throw new Error('memory alloc limit exceeded');
  return true;
}
