import { X509Certificate, createPrivateKey } from 'node:crypto';
import { Matches } from 'class-validator';
import { parseJson } from '../../outgoing/http.js';
import {
  type Mistake,
  IsUrl,
  Must,
  OneOf,
  Setting,
  type Valid,
  isCertificates,
  isHeaders,
  isHttpUrl,
  list,
  succeeds,
} from '../../settings/setting.js';
import type { SinkContext } from '../sink-type.js';
import { SinkSettings, incomplete } from '../settings.js';
import { templateMistakes } from './template-check.js';
import { hasLiquid, isJson } from './templates.js';

/** Headers set by the sink or by HTTP itself; overriding one would silently break the contract. */
const ownHeaders =
  /^(content-(type|length|encoding)|host|user-agent|webhook-(id|timestamp|signature)|idempotency-key|traceparent|accept-encoding|connection|keep-alive|proxy-connection|transfer-encoding|te|trailer|upgrade|expect)$/i;

/** An invalid text stays as it is, for the rules to reject. */
const jsonOrText = (text: string): unknown => parseJson(text) ?? text;

export class CrmWebhookSettings extends SinkSettings {
  @Setting(
    'The URL that changes are sent to; its path and query may contain Liquid, such as `{{ data.channelId }}`, whose values are percent-encoded',
    { example: 'https://crm.example.com/hooks/channels', required: true, secret: true, lines: true },
  )
  @IsUrl('an http or https URL, with Liquid in its path and query alone', isUrlOrTemplate, hasLiquid)
  @Must('without #: what follows one is never sent, so write %23', text => !/#/.test(String(text).replace(/\{\{.*?\}\}|\{%.*?%\}/gs, '')))
  URL!: string;

  @Setting('The HTTP method: `POST`, `PUT` or `PATCH`', { default: 'POST' })
  @OneOf(['POST', 'PUT', 'PATCH'])
  METHOD!: string;

  @Setting('A Liquid template for the body, usually in a file; if it renders `skip`, nothing is sent. See docs/recipes', {
    example: '{"id":{{ data.channelId | json }},"name":{{ data.profile.name | json }}}',
    lines: true,
  })
  TEMPLATE?: string;

  @Setting('The content type of the body; if it is a JSON type, the rendered `TEMPLATE` must be JSON', { default: 'application/json' })
  @Matches(/^[\w.+-]+\/[\w.+-]+(\s*;\s*(?!charset)[\w-]+=[\w.-]+|\s*;\s*charset="?utf-8"?)*$/i, {
    message: '$property must be a content type in UTF-8, such as application/json',
  })
  CONTENT_TYPE!: string;

  @Setting('A Liquid condition on `status` and `answer` (JSON or text): where it is false on a 2xx, the delivery is refused', {
    example: 'answer.code == 0',
    lines: true,
  })
  SUCCESS?: string;

  @Setting(
    'Standard Webhooks secrets, comma-separated: every webhook is signed with all of them, so that they can be rotated; none: no signature',
    { example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr', parse: list, secret: true },
  )
  @Must(
    'comma-separated secrets, each `whsec_` and then the base64 of 24 to 64 bytes',
    secrets => Array.isArray(secrets) && secrets.every(isSecret),
  )
  SECRETS?: string[];

  @Setting('Additional headers, as a JSON object of strings', {
    example: '{"Authorization":"Bearer …"}',
    parse: jsonOrText,
    secret: true,
    lines: true,
  })
  @Must('a JSON object of header names and texts that HTTP can carry', isHeaders)
  @Must(
    'without the headers that channel-sync sets itself, such as content-type, user-agent and webhook-id',
    headers => !isHeaders(headers) || !Object.keys(headers).some(name => ownHeaders.test(name)),
  )
  @Must(
    'a JSON object that has each header once, whatever the case of its name',
    headers => !isHeaders(headers) || [...new Headers(headers).keys()].length === Object.keys(headers).length,
  )
  HEADERS?: Record<string, string>;

  @Setting('`log`: every change in order; `state`: only the latest state, skipping superseded changes', { default: 'log' })
  @OneOf(['log', 'state'])
  MODE!: 'log' | 'state';

  @Setting("Certificates (PEM) of the private CA that signs the target's certificate, instead of the public CAs", { lines: true })
  @Must('one or more certificates in PEM', isCertificates)
  CA?: string;

  @Setting('The client certificate (PEM, with its chain) for mutual TLS', { lines: true })
  @Must('one or more certificates in PEM', isCertificates)
  CERT?: string;

  @Setting('The private key (PEM, without passphrase) of `CERT`', { secret: true, lines: true })
  @Must('a private key in PEM, without passphrase', pem => succeeds(() => createPrivateKey(String(pem))))
  KEY?: string;

  @Setting('The token endpoint for OAuth 2 client credentials; every delivery then carries a token', {
    example: 'https://login.example.com/oauth/token',
    secret: true,
  })
  @IsUrl('an http or https URL', isHttpUrl)
  OAUTH_TOKEN_URL?: string;

  @Setting('The id of the OAuth client', { example: 'channel-sync' })
  OAUTH_CLIENT_ID?: string;

  @Setting('The secret of the OAuth client', { secret: true, example: 'the-secret-of-the-client' })
  OAUTH_CLIENT_SECRET?: string;

  @Setting('The OAuth scope to request', { example: 'contacts.write' })
  OAUTH_SCOPE?: string;

  @Setting('The OAuth audience to request, if the server needs one', { example: 'https://crm.example.com' })
  OAUTH_AUDIENCE?: string;

  static check(settings: CrmWebhookSettings, valid: Valid, clean: SinkContext['clean']): Mistake[] {
    const { URL: url, HEADERS, CERT, KEY, CONTENT_TYPE, TEMPLATE } = settings;
    const mistakes = [
      ...templateMistakes(settings, valid, clean),
      ...incomplete(settings, ['OAUTH_TOKEN_URL', 'OAUTH_CLIENT_ID', 'OAUTH_CLIENT_SECRET'], ['OAUTH_SCOPE', 'OAUTH_AUDIENCE']),
      ...incomplete(settings, ['CERT', 'KEY']),
    ];
    if (TEMPLATE === undefined && valid('CONTENT_TYPE') && !isJson(CONTENT_TYPE)) {
      mistakes.push(['CONTENT_TYPE', 'must be one of JSON, such as application/json, without TEMPLATE']);
    }
    const both = CERT !== undefined && KEY !== undefined && valid('CERT', 'KEY');
    if (both && !new X509Certificate(CERT).checkPrivateKey(createPrivateKey(KEY))) {
      mistakes.push(['KEY', 'must be the private key of CERT (the first certificate in it)']);
    }
    if (!valid('URL', 'HEADERS')) return mistakes;
    const { username, password } = new URL(url);
    const inUrl = username !== '' || password !== '';
    const inHeaders = Object.keys(HEADERS ?? {}).some(name => name.toLowerCase() === 'authorization');
    if (inUrl && inHeaders) mistakes.push(['HEADERS', 'must be without authorization when the URL has a user or password']);
    if (settings.OAUTH_TOKEN_URL === undefined) return mistakes;
    if (inUrl) mistakes.push(['URL', 'must be without user and password when there is OAUTH_TOKEN_URL']);
    if (inHeaders) mistakes.push(['HEADERS', 'must be without authorization when there is OAUTH_TOKEN_URL']);
    return mistakes;
  }
}

function isUrlOrTemplate(text: unknown): boolean {
  if (typeof text !== 'string' || !hasLiquid(text)) return isHttpUrl(text);
  const [before] = text.split(/\{\{|\{%/, 1);
  return /^https?:\/\/[^/?#]+[/?#]/i.test(before!) && isHttpUrl(/^https?:\/\/[^/?#]+/i.exec(before!)![0]);
}

function isSecret(text: unknown): boolean {
  const base64 = typeof text === 'string' ? /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1] : undefined;
  if (base64 === undefined) return false;
  const bytes = Buffer.from(base64, 'base64');
  return bytes.toString('base64') === base64 && bytes.length >= 24 && bytes.length <= 64;
}
