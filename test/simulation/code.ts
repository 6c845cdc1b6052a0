/** The built code, loaded only after time was replaced. */
export interface Code {
  Database: typeof import('../../src/database/database.js').Database;
  Recorder: typeof import('../../src/channel/recorder.js').Recorder;
  Enqueuer: typeof import('../../src/delivery/enqueue.js').Enqueuer;
  EngineEvents: typeof import('../../src/process/engine-events.js').EngineEvents;
  Lanes: typeof import('../../src/delivery/lanes.js').Lanes;
  Worker: typeof import('../../src/delivery/worker.js').Worker;
  registerSinks: typeof import('../../src/sinks/registry.js').registerSinks;
  replay: typeof import('../../src/management/replay.js').replay;
  Timekeeper: typeof import('../../src/maintenance/timekeeper.js').Timekeeper;
  Upkeep: typeof import('../../src/maintenance/upkeep.js').Upkeep;
  SharedTime: typeof import('../../src/database/shared-time.js').SharedTime;
  sinks: typeof import('../../src/sinks/errors.js') & typeof import('../../src/sinks/settings.js');
}

export async function loadCode(): Promise<Code> {
  const load = async (path: string): Promise<unknown> => import(new URL(`../../dist/${path}.js`, import.meta.url).href);
  const [
    { Database },
    { Recorder },
    { Enqueuer },
    { EngineEvents },
    { Lanes },
    { Worker },
    { registerSinks },
    { replay },
    { Timekeeper },
    { Upkeep },
    { SharedTime },
    errors,
    { SinkSettings },
  ] = (await Promise.all(
    [
      'database/database',
      'channel/recorder',
      'delivery/enqueue',
      'process/engine-events',
      'delivery/lanes',
      'delivery/worker',
      'sinks/registry',
      'management/replay',
      'maintenance/timekeeper',
      'maintenance/upkeep',
      'database/shared-time',
      'sinks/errors',
      'sinks/settings',
    ].map(load),
  )) as [Code, Code, Code, Code, Code, Code, Code, Code, Code, Code, Code, Code['sinks'], Code['sinks']];
  return {
    Database,
    Recorder,
    Enqueuer,
    EngineEvents,
    Lanes,
    Worker,
    registerSinks,
    replay,
    Timekeeper,
    Upkeep,
    SharedTime,
    sinks: { ...errors, SinkSettings },
  };
}
