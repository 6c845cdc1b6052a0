import { Play } from './play.ts';
import type { Stage } from './stage.ts';
import type { Teller } from './teller.ts';

const names = ['云上茶馆', '云上茶馆 · 春茶上新', '云上茶馆 · 西湖店', '云上茶馆 <!channel>'] as const;
const introduction = '每日一壶好茶';
const organization = '云上茶业有限公司';
const [avatarUrl, otherAvatarUrl] = ['https://cdn.example.com/teapot.png', 'https://cdn.example.com/cup.png'];
const unknown = { name: null, avatarUrl: null, introduction: null, organization: null };

/** Plays the story: each step a webhook or two, and what every sink got of it. @param alone whether nobody is there to click */
export async function playStory(stage: Stage, teller: Teller, alone: boolean): Promise<void> {
  const play = new Play(stage, teller);

  teller.step(
    'The CRM cannot be reached',
    'The service checks each sink when it starts, and raises an alert before the first webhook comes.',
  );
  await play.alertSays(/crm.*(connection refused|ECONNREFUSED)/, 'an alert');

  teller.step(
    'A channel is created, and the incident is over',
    'Tencent Chat sends a webhook once and waits 2 s for the answer. It carries the name only. The CRM is back: the first delivery ends the incident.',
  );
  await stage.crm.open();
  const complete = await play.hold({ Name: names[0], Introduction: introduction });
  await play.send('created', 1, { Name: names[0] });
  await play.reaches({
    type: 'channel.created',
    revision: 1,
    changes: [{ field: 'name', from: null, to: names[0] }],
    profile: { ...unknown, name: names[0] },
  });
  await play.alertSays(/crm.* has recovered/, 'the same alert, edited');

  teller.step('The rest of its profile is read', "Tencent's REST API knows what the webhook left out. It is asked at once.");
  await complete();
  await play.reaches({
    type: 'channel.profile.updated',
    revision: 2,
    changes: [{ field: 'introduction', from: null, to: introduction }],
    profile: { ...unknown, name: names[0], introduction },
  });

  teller.step('It is renamed', 'Webhooks carry no old values: the service knows them from the webhooks before.');
  await play.send('changed', 2, { Name: names[1] });
  await play.reaches({
    type: 'channel.profile.updated',
    revision: 3,
    changes: [{ field: 'name', from: names[0], to: names[1] }],
    profile: { ...unknown, name: names[1], introduction },
  });

  teller.step('It gets an avatar, and its introduction is cleared', 'An absent field is unchanged, an empty one is cleared.');
  await play.send('changed', 3, { FaceUrl: avatarUrl, Introduction: '' });
  await play.reaches({
    type: 'channel.profile.updated',
    revision: 4,
    changes: [
      { field: 'avatarUrl', from: null, to: avatarUrl },
      { field: 'introduction', from: introduction, to: '' },
    ],
    profile: { ...unknown, name: names[1], avatarUrl, introduction: '' },
  });

  teller.step('A webhook is lost on the way', 'The organization has changed, but no webhook came. A comparison with Tencent finds it.');
  await play.compares({ Name: names[1], FaceUrl: avatarUrl, Introduction: '', Organization: organization });
  await play.reaches({
    type: 'channel.profile.updated',
    revision: 5,
    changes: [{ field: 'organization', from: null, to: organization }],
    profile: { name: names[1], avatarUrl, introduction: '', organization },
  });
  await play.alertSays(/differed from Tencent/, 'an alert');

  teller.step('Two changes arrive out of order', 'The newer one first. The older one is recorded, but does not win.');
  await play.send('changed', 5, { Name: names[2] });
  await play.reaches({
    type: 'channel.profile.updated',
    revision: 6,
    changes: [{ field: 'name', from: names[1], to: names[2] }],
    profile: { name: names[2], avatarUrl, introduction: '', organization },
  });
  await play.send('changed', 4, { Name: '云上茶馆 · 旧名' });
  await play.isStale('name');

  teller.step('A webhook comes twice', 'The same webhook again: it is answered, and not recorded twice.');
  await play.repeatLast();

  teller.step(
    'The CRM is down when it is renamed',
    'It fails twice and comes back. No other sink waits for it. (The name tries to mention everyone in Slack.)',
  );
  stage.crm.failNext(2);
  await play.send('changed', 6, { Name: names[3] });
  await play.crmIsBehind(7);
  await play.reaches(
    {
      type: 'channel.profile.updated',
      revision: 7,
      changes: [{ field: 'name', from: names[2], to: names[3] }],
      profile: { name: names[3], avatarUrl, introduction: '', organization },
    },
    3,
  );

  teller.step(
    'The CRM refuses a change',
    'It is parked with the reason, and later changes go on. A person fixes the cause and presses Retry.',
  );
  stage.crm.failNext(1, { status: 422, error: 'the picture must be square' });
  await play.send('changed', 7, { FaceUrl: otherAvatarUrl });
  await play.isParked(alone);
  await play.reaches(
    {
      type: 'channel.profile.updated',
      revision: 8,
      changes: [{ field: 'avatarUrl', from: avatarUrl, to: otherAvatarUrl }],
      profile: { name: names[3], avatarUrl: otherAvatarUrl, introduction: '', organization },
    },
    2,
  );

  teller.step('The channel is destroyed', 'Its last known values are sent once more; after that all are unknown.');
  await play.send('destroyed', 8, { Name: names[3] });
  await play.reaches({
    type: 'channel.destroyed',
    revision: 9,
    changes: [
      { field: 'name', from: names[3], to: null },
      { field: 'avatarUrl', from: otherAvatarUrl, to: null },
      { field: 'introduction', from: '', to: null },
      { field: 'organization', from: organization, to: null },
    ],
    profile: unknown,
  });

  teller.step('Nothing was lost', 'For each sink: owed = pending + delivered + superseded + parked + discarded.');
  await play.balances({ crm: 9, search: 9, audit: 9, slack: 10 });
}
