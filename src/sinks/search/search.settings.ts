import { Matches } from 'class-validator';
import { type Mistake, IsUrl, Must, Setting, type Valid, Whole, isCertificates, isHttpUrl, wholeNumber } from '../../settings/setting.js';
import { SinkSettings, incomplete } from '../settings.js';

export class SearchSettings extends SinkSettings {
  @Setting('The URL of the search engine; for OpenSearch and Elasticsearch it may contain a user name and a password', {
    example: 'https://search.example.com:9200',
    required: true,
    secret: true,
  })
  @IsUrl('an http or https URL', isHttpUrl)
  URL!: string;

  @Setting('The name to search by; the service creates, versions and swaps the index behind it', { default: 'official-channels' })
  // Valid as an alias and, with `-v1` appended, as an index name.
  @Matches(/^[a-z0-9][a-z0-9._-]{0,199}$/, {
    message: '$property must be lower case letters, digits, dots, hyphens and underscores, and start with a letter or a digit',
  })
  INDEX!: string;

  @Setting(
    'An API key, instead of a user name. For Meilisearch it is the master key, or a key with the actions documents.*, indexes.*, settings.*, tasks.get and version, for the indexes INDEX and INDEX-v*',
    { secret: true },
  )
  @Matches(/^[\x21-\x7e]+$/, { message: '$property must be visible ASCII without blanks' })
  API_KEY?: string;

  @Setting("Certificates (PEM) of the private CA that signs the target's certificate, instead of the public CAs", { lines: true })
  @Must('one or more certificates in PEM', isCertificates)
  CA?: string;

  @Setting('Concurrent attempts, per process; each carries up to 500 channels', { default: '2', parse: wholeNumber })
  @Whole(1, 1000)
  override CONCURRENCY = 2;

  static check({ URL: text }: SearchSettings, valid: Valid): Mistake[] {
    return valid('URL') && /[?#]/.test(text) ? [['URL', 'must not have a query or a fragment']] : [];
  }
}

/** Two sinks on one index would each delete the other's documents as surplus. */
export const exclusiveIndex = {
  setting: 'INDEX',
  on: ({ URL: text, INDEX }: SearchSettings): string | null => {
    if (!URL.canParse(text)) return null;
    const { host, pathname } = new URL(text);
    return `${host}${pathname.replace(/\/*$/, '/')}${INDEX}`;
  },
};

export class ClusterSettings extends SearchSettings {
  @Setting('A user name, together with a password', { secret: true })
  @Matches(/^[^:]+$/, { message: '$property must not hold a colon' })
  USERNAME?: string;

  @Setting('The password of that user', { secret: true })
  PASSWORD?: string;

  @Setting(
    'The analyzer of names, introductions and organizations, such as `smartcn` or `ik_max_word` where the cluster has their plugins; after a change rebuild the index',
    { default: 'cjk' },
  )
  @Matches(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, { message: '$property must be the name of an analyzer, such as cjk' })
  ANALYZER!: string;

  static override check(settings: ClusterSettings, valid: Valid): Mistake[] {
    const { API_KEY, USERNAME, PASSWORD } = settings;
    const mistakes = [...super.check(settings, valid), ...incomplete(settings, ['USERNAME', 'PASSWORD'])];
    const user = USERNAME !== undefined || PASSWORD !== undefined;
    if (API_KEY !== undefined && user) mistakes.push(['API_KEY', 'must not be set together with USERNAME and PASSWORD']);
    if (!valid('URL')) return mistakes;
    const url = new URL(settings.URL);
    const inUrl = url.username !== '' || url.password !== '';
    if (inUrl && (user || API_KEY !== undefined)) mistakes.push(['URL', 'must not hold credentials when they are set apart, too']);
    if (inUrl && userInfo(url) === null) mistakes.push(['URL', 'must hold both a user name and a password, percent-encoded, or neither']);
    return mistakes;
  }
}

export class MeilisearchSettings extends SearchSettings {
  static override check(settings: MeilisearchSettings, valid: Valid): Mistake[] {
    const mistakes = super.check(settings, valid);
    const { username, password } = valid('URL') ? new URL(settings.URL) : { username: '', password: '' };
    if (username !== '' || password !== '') mistakes.push(['URL', 'must not hold credentials: Meilisearch has no users, set API_KEY']);
    return mistakes;
  }
}

/** `user:password` from a URL; `null` if one is missing or badly encoded. */
function userInfo({ username, password }: URL): string | null {
  if (username === '' || password === '') return null;
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    return null;
  }
}

/** The Authorization header of a cluster; `null` without credentials. */
export function authorizationOf({ URL: url, USERNAME, PASSWORD, API_KEY }: ClusterSettings): string | null {
  if (API_KEY !== undefined) return `ApiKey ${API_KEY}`;
  const user = USERNAME === undefined ? userInfo(new URL(url)) : `${USERNAME}:${PASSWORD}`;
  return user === null ? null : `Basic ${Buffer.from(user).toString('base64')}`;
}
