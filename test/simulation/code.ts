/** The built code, loaded only after time was replaced. */
export interface Code {
  Database: typeof import('../../src/database/database.js').Database;
  Recorder: typeof import('../../src/channel/recorder.js').Recorder;
  Lanes: typeof import('../../src/delivery/lanes.js').Lanes;
  Worker: typeof import('../../src/delivery/worker.js').Worker;
  registerSinks: typeof import('../../src/delivery/registry.js').registerSinks;
  replay: typeof import('../../src/delivery/replay.js').replay;
  sinks: typeof import('../../src/sinks/sink.js');
}

export async function loadCode(): Promise<Code> {
  const load = async (path: string): Promise<unknown> => import(new URL(`../../dist/${path}.js`, import.meta.url).href);
  const [{ Database }, { Recorder }, { Lanes }, { Worker }, { registerSinks }, { replay }, sinks] = (await Promise.all(
    [
      'database/database',
      'channel/recorder',
      'delivery/lanes',
      'delivery/worker',
      'delivery/registry',
      'delivery/replay',
      'sinks/sink',
    ].map(load),
  )) as [Code, Code, Code, Code, Code, Code, Code['sinks']];
  return { Database, Recorder, Lanes, Worker, registerSinks, replay, sinks };
}
