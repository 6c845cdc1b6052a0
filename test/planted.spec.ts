import { expectNoSecret, mark, signingSecret } from './support/planted.js';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

test.each([
  ['as it stands', `postgres://nobody:${mark}@127.0.0.1/none`],
  ['a signing secret', signingSecret],
  ['a signing secret without its prefix, as bytes', Buffer.from(signingSecret.slice('whsec_'.length), 'base64').toString()],
  ...['', 'a', 'ab', 'abc'].map(before => [`base64 after "${before}"`, `Basic ${base64(`${before}${mark}:b`)}`]),
])('the scan of all that the service says sees a secret: %s', (_, said) => {
  expect(() => expectNoSecret(`a line\n${said}\nanother`)).toThrow(said);
});
