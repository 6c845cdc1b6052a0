/** The built code, loaded only after time was replaced. */
export interface Code {
  Database: typeof import('../../src/database/database.js').Database;
  Recorder: typeof import('../../src/channel/recorder.js').Recorder;
  ReadingRecorder: typeof import('../../src/channel/readings/reading-recorder.js').ReadingRecorder;
  judge: typeof import('../../src/reconcile/rule.js').judge;
  Enqueuer: typeof import('../../src/delivery/enqueue.js').Enqueuer;
  EngineEvents: typeof import('../../src/process/engine-events.js').EngineEvents;
  repeatedly: typeof import('../../src/process/repeatedly.js').repeatedly;
  TurnBudget: typeof import('../../src/process/turn-budget.js').TurnBudget;
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
  const paths = [
    'database/database',
    'channel/recorder',
    'channel/readings/reading-recorder',
    'reconcile/rule',
    'delivery/enqueue',
    'process/engine-events',
    'process/repeatedly',
    'process/turn-budget',
    'delivery/lanes',
    'delivery/worker',
    'sinks/registry',
    'management/replay',
    'maintenance/timekeeper',
    'maintenance/upkeep',
    'database/shared-time',
    'sinks/errors',
    'sinks/settings',
  ];
  const load = (path: string): Promise<object> => import(new URL(`../../dist/${path}.js`, import.meta.url).href) as Promise<object>;
  const all = Object.assign({}, ...(await Promise.all(paths.map(load)))) as Code & Code['sinks'];
  return { ...all, sinks: all };
}
