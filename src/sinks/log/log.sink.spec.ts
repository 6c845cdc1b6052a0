import { noProxies } from '../../../test/support/proxy.ts';
import { once } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { attempt, exampleDelivery, exampleEvent, expectNoLeak } from '../../../test/sink.contract.ts';
import { readClass } from '../../settings/setting.js';
import type { SingleSink } from '../sink.js';
import { SinkSettings } from '../settings.js';
import { TryAgain } from '../errors.js';
import { log, openLog } from './log.sink.js';
import { noActions, noLookup } from '../../../test/support/no-actions.ts';

function sinkOn(stream: Writable, timeoutMs = 5000): SingleSink {
  const { value } = readClass(SinkSettings, new Map([['TIMEOUT_MS', String(timeoutMs)]]));
  return openLog(
    value,
    {
      name: 'audit',
      now: () => Date.parse('2026-11-23T12:00:00.900Z'),
      warn: () => {},
      proxies: noProxies,
      sdkAppIds: ['1400000001'],
      clean: (text: string) => text,
      actions: noActions,
      lookup: noLookup,
      interaction: () => Promise.resolve(''),
    },
    stream,
  );
}

/** A stream that accepts writes only after `release` is called. */
function heldStream(): { stream: Writable; taken: string[]; release: () => void } {
  const taken: string[] = [];
  let release = (): void => {};
  const held = new Promise<void>(resolve => (release = resolve));
  const stream = new Writable({
    highWaterMark: 1,
    write: (chunk: Buffer, _, done) => void held.then(() => (taken.push(chunk.toString()), done())),
  });
  return { stream, taken, release };
}

describe('log sink', () => {
  it('is a log sink and needs no settings', () => {
    const { value, mistakes } = readClass(log.settings, new Map());
    expect(mistakes).toEqual([]);
    expect(log.mode(value)).toBe('log');
  });

  it('writes each change as one line of JSON', async () => {
    const stream = new PassThrough();
    const sink = sinkOn(stream);
    const event = exampleEvent({ operator: 'two\nlines \u2028 频道' });
    expect(await attempt(sink, exampleDelivery({ event }))).toBeNull();
    expect(await attempt(sink)).toBeNull();
    const lines = String(stream.read()).split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toBe(
      `{"level":"info","time":"2026-11-23T12:00:00.900Z","msg":"channel change","sink":"audit","event":${JSON.stringify(event)}}`,
    );
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ event: exampleEvent() });
    expect(lines[2]).toBe('');
  });

  it('has delivered when the line is out, not before', async () => {
    const { stream, taken, release } = heldStream();
    const ended = attempt(sinkOn(stream));
    await new Promise(resolve => setTimeout(resolve, 50));
    expect(taken).toEqual([]);
    release();
    expect(await ended).toBeNull();
    expect(taken).toHaveLength(1);
  });

  it('tries again when the output is closed, and the process goes on', async () => {
    const stream = new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })) });
    const sink = sinkOn(stream);
    for (const _ of [1, 2]) {
      const error = await attempt(sink);
      expect(error).toBeInstanceOf(TryAgain);
      expect(error?.message).toBe('standard output is closed');
      expectNoLeak(error, ['NewName', 'EPIPE']);
    }
  });

  it('tries again when the output stands still, without a copy for each try', async () => {
    const { stream, taken, release } = heldStream();
    const sink = sinkOn(stream, 50);
    for (const _ of [1, 2, 3]) expect((await attempt(sink))?.message).toBe('standard output timed out');
    release();
    await once(stream, 'drain');
    expect(taken).toHaveLength(1);
    expect(await attempt(sink)).toBeNull();
  });

  it('stops at once when it is cancelled, and writes nothing when it was from the start', async () => {
    const { stream, taken, release } = heldStream();
    const sink = sinkOn(stream);
    const reason = new Error('the lease is lost');
    await expect(attempt(sink, exampleDelivery(), AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(stream.writableLength).toBe(0);

    for (const _ of ['while writing', 'while waiting to write']) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 20);
      await expect(attempt(sink, exampleDelivery(), controller.signal)).rejects.toBe(reason);
    }
    release();
    await once(stream, 'drain');
    expect(taken).toHaveLength(1);
  });

  it('leaves nothing on the stream', async () => {
    const stream = new PassThrough();
    const before = stream.listenerCount('error');
    const sink = sinkOn(stream);
    await attempt(sink);
    await sink.close?.();
    expect(stream.listenerCount('error')).toBe(before);
  });
});
