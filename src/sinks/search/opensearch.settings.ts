import { IsInt, IsOptional, Matches, Max, Min, ValidateBy } from 'class-validator';
import { Setting, isCertificates, isHttpUrl, wholeNumber } from '../../settings/setting.js';
import { SinkSettings } from '../sink.js';

/** A name that is good for an alias and, with `-v1` behind it, for an index. */
const aliasName = /^[a-z0-9][a-z0-9._-]{0,199}$/;

/** Settings of an OpenSearch sink. */
export class OpenSearchSettings extends SinkSettings {
  @Setting({
    meaning: 'Where the cluster is; may hold a user name and a password',
    example: 'https://opensearch.example.com:9200',
    secret: true,
  })
  @ValidateBy({ name: 'isHttpUrl', validator: { validate: isHttpUrl, defaultMessage: () => '$property must be an http(s) URL' } })
  URL!: string;

  @Setting({
    meaning: 'The alias to write to and to search; the index behind it is made and versioned by us',
    default: 'official-channels',
  })
  @Matches(aliasName, {
    message: '$property must be lower case letters, digits, dots, hyphens and underscores, and start with a letter or a digit',
  })
  INDEX!: string;

  @Setting({ meaning: 'An API key (sent as `Authorization: ApiKey …`), instead of a user name', secret: true })
  @IsOptional()
  @Matches(/^[\x21-\x7e]+$/, { message: '$property must be visible ASCII without blanks' })
  API_KEY?: string;

  @Setting({ meaning: 'A user name, together with a password', secret: true })
  @IsOptional()
  @Matches(/^[^:]+$/, { message: '$property must not hold a colon' })
  USERNAME?: string;

  @Setting({ meaning: 'The password of that user', secret: true })
  @IsOptional()
  PASSWORD?: string;

  @Setting({ meaning: 'Certificates (PEM) of a private CA that the target may be signed by, instead of the public ones' })
  @IsOptional()
  @ValidateBy({
    name: 'isCertificates',
    validator: { validate: isCertificates, defaultMessage: () => '$property must be one or more certificates in PEM' },
  })
  CA?: string;

  @Setting({ meaning: 'Attempts at once, per process; each carries up to 500 channels', default: '2', parse: wholeNumber })
  @IsInt()
  @Min(1)
  @Max(1000)
  override CONCURRENCY = 2;

  /** Credentials are given in one way only, and whole. */
  static check(settings: OpenSearchSettings, valid: (...properties: string[]) => boolean): [property: string, message: string][] {
    const { API_KEY, USERNAME, PASSWORD } = settings;
    const mistakes: [string, string][] = [];
    if (USERNAME !== undefined && PASSWORD === undefined) mistakes.push(['PASSWORD', 'is required with USERNAME']);
    if (PASSWORD !== undefined && USERNAME === undefined) mistakes.push(['USERNAME', 'is required with PASSWORD']);
    const user = USERNAME !== undefined || PASSWORD !== undefined;
    if (API_KEY !== undefined && user) mistakes.push(['API_KEY', 'must not be set together with USERNAME and PASSWORD']);
    if (!valid('URL')) return mistakes;
    const url = new URL(settings.URL);
    if (url.search !== '' || url.hash !== '') mistakes.push(['URL', 'must not have a query or a fragment']);
    const inUrl = url.username !== '' || url.password !== '';
    if (inUrl && (user || API_KEY !== undefined)) mistakes.push(['URL', 'must not hold credentials when they are set apart, too']);
    if (inUrl && userInfo(url) === null) mistakes.push(['URL', 'must hold both a user name and a password, percent-encoded, or neither']);
    return mistakes;
  }
}

/** `user:password` out of a URL; `null` if one of them is missing or unreadable. */
function userInfo({ username, password }: URL): string | null {
  if (username === '' || password === '') return null;
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    return null;
  }
}

/** The URL without its credentials, and the Authorization header that stands for them or for those set apart. */
export function accessOf(settings: OpenSearchSettings): { url: string; authorization: string | null } {
  const url = new URL(settings.URL);
  const user = settings.USERNAME === undefined ? userInfo(url) : `${settings.USERNAME}:${settings.PASSWORD ?? ''}`;
  url.username = '';
  url.password = '';
  if (settings.API_KEY !== undefined) return { url: url.href, authorization: `ApiKey ${settings.API_KEY}` };
  return { url: url.href, authorization: user === null ? null : `Basic ${Buffer.from(user).toString('base64')}` };
}
