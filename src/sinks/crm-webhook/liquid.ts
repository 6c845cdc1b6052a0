import { Context, Liquid, type Operators, type Template, type FilterImplOptions, defaultOperators } from 'liquidjs';

/** How long one rendering may take, of this process's own time. */
export const renderMs = 50;
/** About as many characters as one rendering may work on, and as a template may have. */
const mostWork = 1_000_000;
const mostTemplate = 100_000;
/** Looking for one text in another takes as many steps as their lengths multiplied, at worst. */
const mostSteps = 100_000_000;

/** A template cannot be parsed, or not be rendered. */
export class TemplateError extends Error {
  /**
   * @param message may quote the template, and data
   * @param place where in the template, as `line 1, column 2`; empty if unknown
   * @param isLate true if it took too long, which it may not the next time
   */
  constructor(
    message: string,
    readonly place: string,
    readonly isLate = false,
  ) {
    super(message);
  }

  /** What went wrong and where, without any data. */
  get fact(): string {
    const known = /^(undefined (variable|filter): [\w.-]+|memory alloc limit exceeded)$/.test(this.message)
      ? this.message
      : 'see the template';
    return this.place === '' ? known : `${known}, ${this.place}`;
  }
}

interface Filtering {
  context: { renderLimit: { check(now: number): void } };
}

/** Liquid would go by the clock alone: on a machine that is busy with others, that time may have been theirs. */
function timeLimit() {
  const [until, before] = [performance.now() + renderMs, process.threadCpuUsage()];
  const isOver = (): boolean => {
    const { user, system } = process.threadCpuUsage(before);
    return user + system > renderMs * 1000;
  };
  const check = (now: number): void => {
    if (now > until && isOver()) throw new Error('template render limit exceeded');
  };
  return { check };
}

/** An operator's text: what it says with some data. It knows no files and no other templates, and neither hangs nor ends the process. */
export class LiquidText {
  private readonly engine: Liquid;
  private readonly templates: Template[];

  /**
   * @param escape what each value becomes
   * @param ours so many characters at its beginning are not the operator's
   * @throws TemplateError
   */
  constructor(
    text: string,
    escape?: (value: unknown) => string,
    private readonly ours = 0,
  ) {
    this.engine = new Liquid({
      memoryLimit: mostWork,
      parseLimit: mostTemplate,
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
    // The one would undo the escape, the other would be escaped twice.
    if (escape) {
      delete this.engine.filters['raw'];
      delete this.engine.tags['capture'];
    }
    this.templates = this.telling(() => this.engine.parse(text));
  }

  /** The variables that it names, without their members. */
  get variables(): string[] {
    return this.engine.globalVariablesSync(this.templates);
  }

  /** @throws TemplateError */
  render(data: object): string {
    const renderLimit = timeLimit() as Context['renderLimit'];
    const context = new Context(data, this.engine.options, {}, { renderLimit, liquid: this.engine });
    return this.telling(() => String(this.engine.renderSync(this.templates, context)).toWellFormed());
  }

  private telling<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      const { message, originalError, token } = error as Error & { originalError?: Error; token?: { getPosition(): [number, number] } };
      const [line = 1, column = 1 + this.ours] = token?.getPosition() ?? [];
      const fact = originalError?.message ?? message.replace(/(, file:.*)?, line:\d+, col:\d+$/s, '');
      const place = `line ${line}, column ${Math.max(1, line === 1 ? column - this.ours : column)}`;
      throw new TemplateError(fact, place, fact === 'template render limit exceeded');
    }
  }
}

/** Liquid looks at the time between outputs; each of them may have any number of filters. */
function guarded(name: string, filter: FilterImplOptions): FilterImplOptions {
  const plain = typeof filter === 'function' ? filter : filter.handler;
  const seeks = /^(split|replace|remove)/.test(name);
  function handler(this: Filtering, value: unknown, ...args: unknown[]): unknown {
    this.context.renderLimit.check(performance.now());
    if (seeks) searchable(value, args[0]);
    // It shuffles all characters of a text.
    if (name === 'sample') searchable(value, value);
    // It would read a long text as a number once more for each character.
    return Reflect.apply(plain, this, [value, ...(name === 'slice' ? args.map(Number) : args)]);
  }
  return (typeof filter === 'function' ? handler : { ...filter, handler }) as FilterImplOptions;
}

const contained: Operators[string] = (text, sought, context) =>
  searchable(text, sought) && defaultOperators['contains']!(text, sought, context);

function searchable(text: unknown, sought: unknown): true {
  if (typeof text === 'string' && typeof sought === 'string' && text.length * sought.length > mostSteps)
    throw new Error('memory alloc limit exceeded');
  return true;
}
