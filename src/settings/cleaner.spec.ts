import fc from 'fast-check';
import { cleaner } from './cleaner.js';

const secret = 'q7Zx-k/9"<&é 4n=Wp';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** Encodings in which a target may echo a secret. */
const writings: Record<string, (text: string) => string> = {
  'as it stands': text => text,
  'percent-encoded': encodeURIComponent,
  'as a form has it': text => new URLSearchParams({ '': text }).toString().slice(1),
  'percent-encoded twice': text => encodeURIComponent(encodeURIComponent(text)),
  'percent-encoded in lower case': text => encodeURIComponent(text).replace(/%../g, one => one.toLowerCase()),
  'every byte percent-encoded': text => Buffer.from(text).toString('hex').replace(/../g, '%$&'),
  'as JSON': text => JSON.stringify(text).slice(1, -1),
  'as JSON, in ASCII': text =>
    JSON.stringify(text)
      .slice(1, -1)
      .replace(/[^ -~]/g, one => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`),
  'as JSON within JSON': text => JSON.stringify(JSON.stringify(text).slice(1, -1)).slice(1, -1),
  'as JSON with slashes escaped': text => JSON.stringify(text).slice(1, -1).replaceAll('/', '\\/'),
  'as HTML': text => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;'),
  'as HTML by numbers': text => Array.from(text, one => `&#${one.codePointAt(0)};`).join(''),
  'as HTML by hexadecimal numbers': text => Array.from(text, one => `&#x${one.codePointAt(0)!.toString(16)};`).join(''),
  'as JSON in HTML': text => writings['as HTML']!(JSON.stringify(text).slice(1, -1)),
  'split by white space': text => Array.from(text).join(' \n\t'),
  'split by escaped white space': text => Array.from(text).join('\\n'),
  'in base64': base64,
  'in base64 in lines': text => base64(text).replace(/.{6}/g, '$&\n'),
  'in base64url': text => Buffer.from(text).toString('base64url'),
  'in base64 after a byte': text => base64(`:${text}:more`),
  'in base64 after two bytes': text => base64(`::${text}::`),
  'in base64, percent-encoded': text => encodeURIComponent(base64(`user:${text}`)),
  'percent-encoded, in base64': text => base64(encodeURIComponent(text)),
  'as a form has it, in base64': text => base64(`client:${writings['as a form has it']!(text)}`),
  'as JSON, in base64': text => base64(JSON.stringify({ text })),
  'as PHP writes JSON, in base64': text => base64(writings['as JSON with slashes escaped']!(text)),
  'as PHP writes JSON in ASCII, in base64url': text =>
    Buffer.from(`{"k":"${writings['as JSON, in ASCII']!(text).replaceAll('/', '\\/')}"}`).toString('base64url'),
  'percent-encoded in lower case, in base64': text => base64(writings['percent-encoded in lower case']!(text)),
  'percent-encoded in both cases, in base64url': text =>
    Buffer.from(encodeURIComponent(text).replace(/%../g, (one, at: number) => (at % 2 ? one : one.toLowerCase()))).toString('base64url'),
  'every byte percent-encoded, in base64 after a byte': text => base64(`:${writings['every byte percent-encoded']!(text)}`),
  'as HTML, in base64': text => base64(writings['as HTML']!(text)),
  'percent-encoded in JSON, in base64': text => base64(writings['as JSON with slashes escaped']!(`/${encodeURIComponent(text)}`)),
  'in base64, percent-encoded in lower case': text => writings['percent-encoded in lower case']!(base64(`user:${text}`)),
};

describe.each(Object.keys(writings))('a secret %s', how => {
  const write = writings[how]!;

  it('is taken out, and what is around it stays', () => {
    expect(cleaner(['unrelated', secret])(`{"got": ${write(secret)} , "more": 1}`)).toBe('{"got": *** , "more": 1}');
    expect(cleaner([])(`got ${write(secret)}!`, [secret])).toBe('got ***!');
  });

  it.each(['secret\\', '\\secret', 'sec\\ret', 'sec%ret', 'sec+ret', 'sec&ret;'])(
    'is taken out though an escape could begin in it: %s',
    one => {
      const clean = cleaner([one])(`a ${write(one)} b`);
      expect(clean).toMatch(/^a \*\*\*/);
      expect(clean).not.toContain(write(one));
    },
  );

  it('is taken out wherever it stands, whatever it is', () => {
    const secrets = fc
      .string({ unit: 'grapheme', minLength: 6, maxLength: 40 })
      .filter(text => text.replace(/\s/g, '').length >= 6 && text.isWellFormed());
    const around = fc.constantFrom('', ' ', 'a "text" ', '\u4f60\u597d ', '{"k":"', '<p>', '%', '\\');
    fc.assert(
      fc.property(secrets, around, around, (one, before, after) => {
        const clean = cleaner([one])(`${before} ${write(one)} ${after}`);
        expect(clean).toContain('***');
        expect(clean).not.toContain(write(one));
      }),
    );
  });
});

test('base64 is taken out alone, whatever is before and after it', () => {
  const clean = cleaner([secret]);
  for (const before of ['', 'a', 'ab', 'abc', 'abcd'])
    for (const after of ['', '=', '==', ' a', ' abc', '!'])
      expect(clean(`x ${before} ${base64(secret).replace(/=+$/, '')}${after}`)).toBe(`x ${before} ***${after.replace(/=/g, '')}`);
});

test('what holds no secret stays as it is', () => {
  const clean = cleaner([secret]);
  fc.assert(fc.property(fc.string({ unit: 'binary' }), text => expect(clean(text)).toBe(text)));
  const texts = [
    '50% off & more',
    '%E4%BD%A0 \\u4f60 &amp; &#20320;',
    'Cannot POST /hooks/channels',
    base64('nothing to see here'),
    '%zz %e4 \\ux &#9;',
    'C:\\Temp\\New \\U0041',
  ];
  for (const text of texts) expect(clean(text)).toBe(text);
});

describe.each(Object.keys(writings))('a secret %s', how => {
  const written = writings[how]!(secret);

  it('that is cut by the end of the text is replaced', () => {
    for (let length = Math.ceil(written.length * 0.9); length < written.length; length++)
      for (const end of ['', '…', '..."}'])
        expect(cleaner([secret])(`got ${written.slice(0, length)}${end}`)).toMatch(/^got \*\*\*.{0,12}$/s);
  });
});

test('what only ends like the beginning of a secret stays as it is', () => {
  const clean = cleaner([secret]);
  for (const text of ['got q7Zx-k/', 'got q7Zx-k/9" and more', 'got q7Zx-k/8"…', '', '"}'.repeat(4000)])
    expect(clean(text)).toBe(text.slice(0, 4000));
});

test('of a long text the beginning is left, without half a secret at its end', () => {
  const clean = cleaner([secret]);
  expect(clean('x'.repeat(9000))).toBe('x'.repeat(4000));
  for (let before = 3970; before <= 4001; before++) expect(clean('x'.repeat(before) + secret.repeat(300))).toMatch(/^x+(\*\*\*)*$/);
  expect(clean(secret.repeat(1000))).toBe('***'.repeat(4000 / secret.length + 1));
});

test('nothing that a target answers takes long', () => {
  const clean = cleaner(Array.from({ length: 40 }, (_, index) => `secret-number-${index}-${'x'.repeat(40)}`));
  const hostile = [
    '%25'.repeat(3000),
    '\\\\'.repeat(4000),
    '&amp;'.repeat(2000),
    ' '.repeat(8000),
    '%5C%26amp;u0025'.repeat(600),
    'A+/='.repeat(2000),
  ];
  for (const text of hostile) {
    const at = process.cpuUsage();
    clean(text);
    expect(process.cpuUsage(at).user).toBeLessThan(300_000);
  }
});
