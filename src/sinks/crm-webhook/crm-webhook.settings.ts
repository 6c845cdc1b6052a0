import { X509Certificate, createPrivateKey } from 'node:crypto';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { ArrayNotEmpty, IsIn, IsOptional } from 'class-validator';
import { Must, Setting, isCertificates, isHttpUrl, list, succeeds } from '../../settings/setting.js';
import { SinkSettings } from '../settings.js';

/** Headers that the sink or HTTP itself sets: a setting for one of them would break the contract without a word. */
const ownHeaders = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'host',
  'user-agent',
  'webhook-id',
  'webhook-timestamp',
  'webhook-signature',
  'idempotency-key',
  'accept-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
]);

/** The settings of a CRM webhook sink. */
export class CrmWebhookSettings extends SinkSettings {
  @Setting({ meaning: 'Where changes are posted to', example: 'https://crm.example.com/hooks/channels', secret: true })
  @Must('an http or https URL', isHttpUrl)
  URL!: string;

  @Setting({
    meaning:
      'Standard Webhooks secrets, comma-separated: every webhook is signed with all of them, so that they can be rotated; none: no signature',
    example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr',
    parse: list,
    secret: true,
  })
  @IsOptional()
  @ArrayNotEmpty()
  @Must(
    'comma-separated secrets, each `whsec_` and then the base64 of 24 to 64 bytes',
    secrets => Array.isArray(secrets) && secrets.every(isSecret),
  )
  SECRETS?: string[];

  @Setting({ meaning: 'More headers, as a JSON object of texts', example: '{"Authorization":"Bearer …"}', parse: jsonOrText, secret: true })
  @IsOptional()
  @Must('a JSON object of header names and texts that HTTP can carry', isHeaders)
  @Must(
    'without the headers that channel-sync sets itself, such as content-type, user-agent and webhook-id',
    headers => !isHeaders(headers) || Object.keys(headers).every(name => !ownHeaders.has(name.toLowerCase())),
  )
  HEADERS?: Record<string, string>;

  @Setting({ meaning: '`log`: every change in its order; `state`: the newest state only, skipping what it supersedes', default: 'log' })
  @IsIn(['log', 'state'])
  MODE!: 'log' | 'state';

  @Setting({ meaning: 'Certificates (PEM) of a private CA that the target may be signed by, instead of the public ones' })
  @IsOptional()
  @Must('one or more certificates in PEM', isCertificates)
  CA?: string;

  @Setting({ meaning: 'Our certificate (PEM, with its chain) for mutual TLS' })
  @IsOptional()
  @Must('one or more certificates in PEM', isCertificates)
  CERT?: string;

  @Setting({ meaning: 'The private key (PEM, without passphrase) of `CERT`', secret: true })
  @IsOptional()
  @Must('a private key in PEM, without passphrase', isPrivateKey)
  KEY?: string;

  static check(
    { URL: url, HEADERS, CERT, KEY }: CrmWebhookSettings,
    valid: (...properties: string[]) => boolean,
  ): [property: string, message: string][] {
    const mistakes: [string, string][] = [];
    if (CERT !== undefined && KEY === undefined) mistakes.push(['KEY', 'is required with CERT']);
    if (KEY !== undefined && CERT === undefined) mistakes.push(['CERT', 'is required with KEY']);
    const both = CERT !== undefined && KEY !== undefined && valid('CERT', 'KEY');
    if (both && !new X509Certificate(CERT).checkPrivateKey(createPrivateKey(KEY))) {
      mistakes.push(['KEY', 'must be the private key of CERT (the first certificate in it)']);
    }
    if (!valid('URL', 'HEADERS')) return mistakes;
    const { username, password } = new URL(url);
    if ((username || password) && Object.keys(HEADERS ?? {}).some(name => name.toLowerCase() === 'authorization')) {
      mistakes.push(['HEADERS', 'must be without authorization when the URL has a user or password']);
    }
    return mistakes;
  }
}

function isSecret(text: unknown): boolean {
  const base64 = typeof text === 'string' ? /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1] : undefined;
  if (base64 === undefined) return false;
  const bytes = Buffer.from(base64, 'base64');
  return bytes.toString('base64') === base64 && bytes.length >= 24 && bytes.length <= 64;
}

/** The object, or the text as it stands, which the rules then refuse. */
function jsonOrText(text: string): unknown {
  try {
    return (JSON.parse(text) as unknown) ?? text;
  } catch {
    return text;
  }
}

function isHeaders(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(
    ([name, text]) =>
      typeof text === 'string' &&
      succeeds(() => {
        validateHeaderName(name);
        validateHeaderValue(name, text);
      }),
  );
}

function isPrivateKey(pem: unknown): boolean {
  return typeof pem === 'string' && succeeds(() => createPrivateKey(pem));
}
