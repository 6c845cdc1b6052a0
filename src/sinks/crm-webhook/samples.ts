import { type ChangeType, type FieldName, type Profile, fieldNames } from '../sink.js';
import type { TemplateData } from './templates.js';

/** 500 bytes of quotes, escapes, line breaks, markup, Liquid and emoji. */
const nastyText = `"q" 'q' \\ \n\r\n\t </b>&amp; {{ x }} {% y %} 名字 😀 %2F ?#`;
const nasty = nastyText + 'é'.repeat((500 - Buffer.byteLength(nastyText)) / 2);

type Fill = (field: FieldName) => string | null;

/** What the fields of a sample contain. */
const fillings: [about: string, fill: Fill][] = [
  ['every field full', field => (field === 'avatarUrl' ? 'https://cdn.example.com/avatar.png' : `Some ${field}`)],
  ['every field null', () => null],
  ['every field empty', () => ''],
  ['quotes, line breaks, emoji and 500 bytes', () => nasty],
  ['no changes', field => `Some ${field}`],
];

export interface Sample extends TemplateData {
  about: string;
}

/** Sample deliveries of each type, for checking templates before the first webhook. */
export const samples: readonly Sample[] = (['channel.profile.updated', 'channel.created', 'channel.destroyed'] as const).flatMap(type =>
  fillings.map(([about, fill]) => sampleOf(type, about, fill)),
);

function sampleOf(type: ChangeType, about: string, fill: Fill): Sample {
  const profile = Object.fromEntries(fieldNames.map(field => [field, fill(field)])) as unknown as Profile;
  const isNasty = profile.name === nasty;
  const text = profile.name?.slice(0, 60) ?? null;
  const changes = about === 'no changes' ? [] : fieldNames.map(field => ({ field, from: isNasty ? nasty : null, to: fill(field) }));
  return {
    about: `${type}, ${about}`,
    event: {
      type,
      timestamp: '2022-12-09T08:26:54.123Z',
      data: {
        changeId: '0194e2f0-0000-7000-8000-000000000001',
        sdkAppId: '1400000001',
        channelId: isNasty ? `@TOA#_a "b" /c\\d%` : '@TOA#_sample',
        revision: 3,
        exists: type !== 'channel.destroyed',
        source: 'webhook',
        operator: text,
        changes,
        profile,
      },
    },
    origin: { clientIp: text && '203.0.113.7', platform: text || null, owner: text || null },
  };
}
