/** The built code, loaded only after time was replaced. */
export interface Code {
  Database: typeof import('../../src/database/database.js').Database;
  Recorder: typeof import('../../src/channel/recorder.js').Recorder;
  Lanes: typeof import('../../src/delivery/lanes.js').Lanes;
  Worker: typeof import('../../src/delivery/worker.js').Worker;
  registerSinks: typeof import('../../src/delivery/registry.js').registerSinks;
  replay: typeof import('../../src/delivery/replay.js').replay;
  Timekeeper: typeof import('../../src/delivery/timekeeper.js').Timekeeper;
  Upkeep: typeof import('../../src/delivery/upkeep.js').Upkeep;
  SharedTime: typeof import('../../src/database/shared-time.js').SharedTime;
  sinks: typeof import('../../src/sinks/sink.js');
}

export async function loadCode(): Promise<Code> {
  const load = async (path: string): Promise<unknown> => import(new URL(`../../dist/${path}.js`, import.meta.url).href);
  const [
    { Database },
    { Recorder },
    { Lanes },
    { Worker },
    { registerSinks },
    { replay },
    { Timekeeper },
    { Upkeep },
    { SharedTime },
    sinks,
  ] = (await Promise.all(
    [
      'database/database',
      'channel/recorder',
      'delivery/lanes',
      'delivery/worker',
      'delivery/registry',
      'delivery/replay',
      'delivery/timekeeper',
      'delivery/upkeep',
      'database/shared-time',
      'sinks/sink',
    ].map(load),
  )) as [Code, Code, Code, Code, Code, Code, Code, Code, Code, Code['sinks']];
  return { Database, Recorder, Lanes, Worker, registerSinks, replay, Timekeeper, Upkeep, SharedTime, sinks };
}
