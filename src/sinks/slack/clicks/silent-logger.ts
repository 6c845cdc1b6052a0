import type { Logger } from '@slack/web-api';

const silent = () => {};

/** For Slack's SDKs: their own logs print message texts, payloads, and URLs that let one in. */
export const silentLogger = {
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
  setLevel: silent,
  setName: silent,
  getLevel: () => 'error',
} as unknown as Logger;
