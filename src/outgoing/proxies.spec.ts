import fc from 'fast-check';
import { proxiesFrom, proxyFor } from './proxies.js';

const read = (environment: Record<string, string>) => proxiesFrom(new Map(Object.entries(environment)));

/** The host of the proxy used for a URL. */
function by(url: string, environment: Record<string, string>): string | null {
  const { proxies, mistakes } = read(environment);
  expect(mistakes).toEqual([]);
  return proxyFor(new URL(url), proxies)?.url.host ?? null;
}

describe('the proxy of a URL', () => {
  const both = { HTTP_PROXY: 'http://plain:3128', HTTPS_PROXY: 'http://tls:3129' };

  it.each([
    ['http://crm.example.com/a', 'plain:3128'],
    ['https://crm.example.com/a', 'tls:3129'],
    ['ws://crm.example.com/a', 'plain:3128'],
    ['wss://crm.example.com/a', 'tls:3129'],
  ])('%s', (url, proxy) => expect(by(url, both)).toBe(proxy));

  it('is none unless the variable of its scheme is set', () => {
    expect(by('https://crm', {})).toBeNull();
    expect(by('https://crm', { HTTP_PROXY: 'http://plain:3128' })).toBeNull();
    expect(by('http://crm', { HTTPS_PROXY: 'http://tls:3129' })).toBeNull();
  });

  it('is that of the lower-case variable if both are set', () => {
    expect(by('https://crm', { ...both, https_proxy: 'http://lower:1' })).toBe('lower:1');
    expect(by('http://crm', { ...both, http_proxy: 'https://lower' })).toBe('lower');
    expect(by('http://crm', { ...both, NO_PROXY: 'crm', no_proxy: 'other' })).toBe('plain:3128');
  });
});

describe('NO_PROXY', () => {
  const direct = (url: string, NO_PROXY: string) => by(url, { HTTP_PROXY: 'http://p', HTTPS_PROXY: 'http://p', NO_PROXY }) === null;

  it.each([
    ['https://crm.example.com', 'crm.example.com'],
    ['https://crm.example.com', 'example.com'],
    ['https://crm.example.com', '.example.com'],
    ['https://crm.example.com', '*.example.com'],
    ['https://example.com', '.example.com'],
    ['https://CRM.Example.com', 'crm.EXAMPLE.com'],
    ['https://crm.example.com.', 'example.com'],
    ['https://crm.example.com', 'example.com.'],
    ['https://crm.example.com', '*'],
    ['http://[::1]:9200', '*'],
    ['https://crm.example.com', 'crm.example.com:443'],
    ['http://crm.example.com', '.example.com:80'],
    ['http://crm.example.com:8080', 'example.com:8080'],
    ['http://10.0.0.7:8080', '10.0.0.7'],
    ['http://10.0.0.7:8080', '10.0.0.7:8080'],
    ['http://[::1]:9200', '::1'],
    ['http://[::1]:9200', '[::1]'],
    ['http://[::1]:9200', '[::1]:9200'],
    ['http://[2001:db8::7]', '2001:DB8:0:0:0:0:0:7'],
    ['http://crm', 'localhost, crm'],
    ['http://crm', 'localhost crm'],
    ['http://crm', ' \tlocalhost,, crm\t,'],
    ['http://频道.example.com', '频道.example.com'],
  ])('lets %s be reached directly: %s', (url, list) => expect(direct(url, list)).toBe(true));

  it.each([
    ['https://crm.example.com', ''],
    ['https://crm.example.com', ','],
    ['https://notexample.com', 'example.com'],
    ['https://notexample.com', '.example.com'],
    ['https://example.com.evil.org', 'example.com'],
    ['https://example.com', 'crm.example.com'],
    ['https://crm.example.com', 'example.com:80'],
    ['https://crm.example.com:8443', 'crm.example.com:443'],
    ['http://110.0.0.7', '10.0.0.7'],
    ['http://10.0.0.7', '0.0.7'],
    ['http://10.0.0.7', '.7'],
    ['http://[::1]:9200', '[::1]:9201'],
    ['http://[::1]', '::2'],
    ['https://crm.example.com', '.'],
    ['https://crm.example.com', ':443'],
    ['https://crm.example.com', '(.*'],
  ])('does not let %s: %s', (url, list) => expect(direct(url, list)).toBe(false));

  it('takes whatever somebody writes there', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), list => void direct('https://crm.example.com', list)));
  });
});

describe('a proxy variable that cannot be used', () => {
  it.each([
    'planted5ecret',
    'proxy.planted5ecret:3128',
    'socks5://planted5ecret:1080',
    'http://',
    'http://user:%planted5ecret@proxy',
    '3128',
    'http://proxy:planted5ecret',
  ])('is a mistake that does not repeat it: %s', value => {
    for (const name of ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy']) {
      const { mistakes, proxies } = read({ [name]: value });
      expect(mistakes).toEqual([expect.stringMatching(new RegExp(`^${name} must be an http or https URL`))]);
      expect(mistakes.join()).not.toContain('planted5ecret');
      expect([proxies.http, proxies.https]).toEqual([null, null]);
    }
  });

  it('does not matter if the other spelling counts', () => {
    expect(read({ HTTPS_PROXY: 'nonsense', https_proxy: 'http://p' }).mistakes).toEqual([]);
  });
});

it('takes user and password percent-encoded', () => {
  const authorization = (text: string) => read({ HTTPS_PROXY: text }).proxies.https?.authorization;
  expect(authorization('http://user:p%40ss%3A%20%C3%BC@proxy:3128')).toBe(`Basic ${Buffer.from('user:p@ss: ü').toString('base64')}`);
  expect(authorization('https://token@proxy')).toBe(`Basic ${Buffer.from('token:').toString('base64')}`);
  expect(authorization('https://proxy')).toBeNull();
});
