import fc from 'fast-check';
import stringWidth from 'string-width';
import { plain, record, table } from './table.js';

const rows = [
  { id: '1', state: 'ok', counts: { pending: 12 }, name: '商店 📣' },
  { id: '22', state: 'paused', counts: { pending: 0 }, name: '' },
  { id: '333', state: null, counts: null, name: 'a\nb\u001b[31m\u202ec' },
];

test('a table has a line of titles and a line for each row, in columns', () => {
  expect(table(rows, 'id state counts.pending name').split('\n')).toEqual([
    'id   state   pending  name',
    '1    ok      12       商店 📣',
    '22   paused  0        ""',
    '333  -       -        a\ufffdb\ufffd[31m\ufffdc',
  ]);
});

test('long things of a list are one below the other, with a blank line between', () => {
  const long = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`f${index}`, index]));
  const lines = record({ id: '1', list: [long, long] }).split('\n');
  expect(lines.slice(0, 4)).toEqual(['id  1', '', 'list:', '  f0  0']);
  expect(lines.slice(10)).toEqual(['  f7  7', '', ...lines.slice(3, 11)]);
});

test('wide letters take two columns', () => {
  const lines = table(rows, 'name id').split('\n');
  expect(lines.map(line => stringWidth(line.slice(0, line.search(/\S+$/))))).toEqual(Array(4).fill(lines[0]!.indexOf('id')));
});

test('titles are not cells; a long cell makes no column wider than 60, and is not cut', () => {
  expect(table([{ ok: 'ok', b: 1 }], 'ok b', cell => `<${cell}>`)).toBe('ok  b\n<ok>  <1>');
  const rows = [
    { a: 'x'.repeat(500), b: 1 },
    { a: '', b: 2 },
  ];
  const lines = table(rows, 'a b').split('\n');
  expect(lines[1]).toBe(`${'x'.repeat(500)}  1`);
  expect(lines[2]).toBe(`""${' '.repeat(60)}2`);
});

test('a thing has a line for each field, and its lists below', () => {
  const thing = {
    id: '1',
    none: null,
    empty: [],
    fields: ['a', 'b'],
    changes: [{ field: 'name', from: null, to: 'x' }],
    details: { sink: 'crm', n: 1 },
  };
  expect(record(thing).split('\n')).toEqual([
    'id            1',
    'none          -',
    'empty         -',
    'fields        a, b',
    'details.sink  crm',
    'details.n     1',
    '',
    'changes:',
    '  field  from  to',
    '  name   -     x',
  ]);
});

test('in a cell, changes are told from what to what', () => {
  expect(
    table(
      [
        {
          changes: [
            { field: 'name', from: null, to: 'x' },
            { field: 'avatarUrl', from: 'y', to: '' },
          ],
        },
      ],
      'changes',
    ),
  ).toBe('changes\nname: - → x, avatarUrl: y → ""');
});

test('nothing in a cell moves a cursor or makes another line', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ a: fc.string({ unit: 'binary' }), b: fc.anything() })), things => {
      const lines = table(things, 'a b').split('\n');
      expect(lines).toHaveLength(things.length + 1);
      for (const line of lines) {
        expect(line).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e]/u);
        expect(line.isWellFormed()).toBe(true);
      }
    }),
  );
  expect(plain('\0\t\r\n\u007f\u0085\u009b\u2028')).toBe('\ufffd'.repeat(8));
});
