import { Refusal } from './answer.js';

test.each([
  [1024, '1 kB'],
  [65_536, '64 kB'],
  [1_048_576, '1 MB'],
  [1_572_864, '1.5 MB'],
])('a body larger than %i bytes is told to be larger than %s', (limit, size) =>
  expect(Refusal.tooLarge(limit).packet).toEqual({
    ActionStatus: 'FAIL',
    ErrorCode: 120004,
    ErrorInfo: `the body is larger than ${size}, see WEBHOOK_BODY_LIMIT`,
  }),
);
