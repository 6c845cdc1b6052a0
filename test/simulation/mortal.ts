import type { Database } from '../../src/database/database.js';

type Kysely = Database['kysely'];

/** A hold on the shared store that ends with the process that has it: what is asked afterwards is never answered, and neither is what was under way. */
export class Mortal {
  readonly database: Database;
  dead = false;
  readonly #ended: () => void;

  /**
   * @param time what its process knows of the clock that all share
   * @param look lets it look at that
   * @param ended told of every transaction that has ended
   */
  constructor(shared: Database, time: Database['time'], look: () => void, ended: () => void) {
    this.#ended = ended;
    const kysely = this.#watched(shared);
    const timed: Database['timed'] = async (db, query) => {
      const row = await shared.timed(db, query);
      look();
      return row;
    };
    const send: Database['send'] = async (trx, query) => {
      const rows = await shared.send(trx, query);
      return async () => {
        const found = await rows();
        if (found[0] && 'clock' in found[0]) look();
        return found;
      };
    };
    this.database = Object.create(shared, {
      send: { value: send },
      time: { value: time },
      timed: { value: timed },
      readClock: { value: async () => look() },
      kysely: { get: () => (this.dead ? silence : kysely) },
      asyncCommit: { value: (work: Parameters<Database['asyncCommit']>[0]) => this.#guard(() => shared.asyncCommit(work)) },
    }) as Database;
  }

  #watched(shared: Database): Kysely {
    return new Proxy(shared.kysely, {
      get: (target, property) => {
        if (property === 'transaction') return () => ({ execute: (work: never) => this.#guard(() => target.transaction().execute(work)) });
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    if (this.dead) return never();
    const result = await work().finally(this.#ended);
    return this.dead ? never() : result;
  }
}

/** A new one each time: one for all would hold on to everybody who ever waited for it. */
const never = (): Promise<never> => new Promise(() => undefined);

/** Any query of the dead. */
const silence: never = new Proxy(() => undefined, {
  get: (_, property) => (property === 'then' ? undefined : silence),
  apply: () => new Proxy(never(), { get: (target, property) => (property === 'then' ? target.then.bind(target) : silence) }),
}) as never;
