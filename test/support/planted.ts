/** Part of every secret that the tests give the service. Imports nothing of ours: it runs natively, too. */
export const mark = 'planted5ecret-mark';

/** The mark as it stands, and within base64, where it looks different after one or two other bytes. */
const forms = [
  mark,
  'usersig=',
  ...[0, 1, 2].map(before => {
    const whole = Buffer.from('.'.repeat(before) + mark).toString('base64');
    return whole.slice(before === 0 ? 0 : before + 1, Math.floor(((before + mark.length) * 8) / 6));
  }),
];

/** A Standard Webhooks secret. */
export const signingSecret = `whsec_${Buffer.from(mark.padEnd(32, '.')).toString('base64')}`;

/** The environment with a marked secret wherever one may be: credentials in the URLs of sinks and proxies, headers, signatures, the management token. */
export function plant(environment: Record<string, string>): Record<string, string> {
  const planted: Record<string, string> = { MANAGEMENT_TOKEN: `${mark}-management`, NO_PROXY: '*', ...environment };
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY']) {
    const proxy = new URL(environment[name] ?? 'http://127.0.0.1:1');
    planted[name] = Object.assign(proxy, { username: `${mark}-proxy-user`, password: `${mark}-proxy-password` }).href;
  }
  for (const [name, value] of Object.entries(environment)) {
    const sink = /^SINK_.+_(?=URL$)/.exec(name)?.[0];
    // A Slack sink's URLs must not hold credentials.
    if (sink === undefined || environment[`${sink}TYPE`] === undefined || value === '') continue;
    const url = new URL(value);
    const hasToken = environment[`${sink}OAUTH_TOKEN_URL`] !== undefined;
    if (url.username === '' && !hasToken) Object.assign(url, { username: `${mark}-user`, password: `${mark}-password` });
    planted[name] = url.href;
    if (environment[`${sink}TYPE`] !== 'webhook') continue;
    planted[`${sink}SECRETS`] ??= signingSecret;
    planted[`${sink}HEADERS`] ??= JSON.stringify({ 'X-Api-Key': `${mark}-header` });
  }
  return planted;
}

/** @throws if a line of what the service said holds a secret, in any form */
export function expectNoSecret(said: string): void {
  const line = said.split('\n').find(one => forms.some(form => one.includes(form)));
  if (line !== undefined) throw new Error(`the service tells a secret: ${line}`);
}
