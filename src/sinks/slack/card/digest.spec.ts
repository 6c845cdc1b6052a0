import { linesOf } from '../../../../test/support/slack-messages.ts';
import { renderContext } from '../../../../test/support/slack-rendering.ts';
import { exampleEvent, exampleReport } from '../../../../test/sink.contract.ts';
import type { ChangeEvent } from '../../sink.js';
import type { Report } from '../../report-sink.js';
import { digest, digestThread } from './digest.js';
import { en } from '../words/en.js';

const context = renderContext(en);

function reportOf(name: string, rest: Partial<ChangeEvent['data']> = {}, type: ChangeEvent['type'] = 'channel.profile.updated'): Report {
  const { profile } = exampleEvent().data;
  const data = { channelId: `@${name}`, changes: [{ field: 'name' as const, from: 'Old', to: name }], profile: { ...profile, name } };
  return exampleReport({ event: { ...exampleEvent({ ...data, ...rest }), type } });
}

function many(count: number): Report[] {
  return Array.from({ length: count }, (_, index) => reportOf(`shop-${index}`));
}

describe('digest', () => {
  it('gives each change a line', () => {
    const later = reportOf('Two', {
      changes: [
        { field: 'name', from: 'a', to: 'b' },
        { field: 'introduction', from: '', to: 'x'.repeat(50) },
      ],
    });
    later.event.timestamp = '2022-12-10T00:00:00.000Z';
    const all = [reportOf('One', {}, 'channel.created'), later, reportOf('Three', { revision: null, changes: [] })];
    const shown = digest(all, context);
    expect(linesOf(shown)).toEqual([
      '3 changes delivered to all sinks',
      '*One* `@One` Channel created again',
      `*Two* \`@Two\` Name: ~a~ → *b*; Introduction: ~_(empty)_~ → *${'x'.repeat(39)}…*`,
      '*Three* `@Three` No change: these values were already set',
      'Dec 9, 2022, 08:26:54 UTC – Dec 10, 2022, 00:00:00 UTC',
    ]);
    expect(shown.text).toBe('3 changes delivered to all sinks: One, Two, Three');
    expect(digestThread(all, context)).toEqual([]);
  });

  it('shows twenty of many, and all of them in its thread', () => {
    const all = many(57);
    const shown = digest(all, context);
    expect(linesOf(shown).slice(-3, -1)).toEqual(['*shop-19* `@shop-19` Name: ~Old~ → *shop-19*', '_… and 37 more: all in the thread_']);
    expect(linesOf(shown)).toHaveLength(23);
    expect(shown.text).toBe('57 changes delivered to all sinks: shop-0, shop-1, shop-2 …');
    const parts = digestThread(all, context);
    expect(parts.map(({ text }) => text)).toEqual(['Part 1 of 1']);
    expect(parts.flatMap(linesOf)).toEqual(
      all.map((_, index) => `*shop-${index}* \`@shop-${index}\` Name: ~Old~ → *shop-${index}* · by leckie · Dec 9, 2022, 08:26:54 UTC`),
    );
  });

  it('has no thread with an incoming webhook', () => {
    const how = { ...context, threads: false };
    expect(linesOf(digest(many(22), how)).at(-2)).toBe('_… and 2 more_');
    expect(digestThread(many(22), how)).toEqual([]);
  });

  it('lists as many as three messages can take, and says how many there are besides', () => {
    const parts = digestThread(many(5000), context);
    expect(parts).toHaveLength(3);
    const lines = parts.flatMap(linesOf);
    expect(lines.at(-1)).toBe(`_… and ${en.formats.number(5001 - lines.length)} more; see the API_`);
    expect(new Set(lines.slice(0, -1)).size).toBe(lines.length - 1);
  });

  it('takes fewer lines if they are long', () => {
    const long = {
      channelId: '👩‍👩‍👧‍👦'.repeat(40),
      changes: (['name', 'introduction'] as const).map(field => ({ field, from: '我'.repeat(40), to: '👩‍👩‍👧‍👦'.repeat(40) })),
    };
    const all = Array.from({ length: 13 }, () => reportOf('👩‍👩‍👧‍👦'.repeat(40), long));
    expect(linesOf(digest(all, context)).length).toBeLessThan(13);
    expect(digestThread(all, context).flatMap(linesOf)).toHaveLength(13);
  });
});
