import { Play } from './play.ts';
import type { Stage } from './stage.ts';
import type { Teller } from './teller.ts';

const names = ['云上茶馆', '云上茶馆 · 春茶上新', '云上茶馆 · 西湖店', '云上茶馆 <!channel>'] as const;
const introduction = '每日一壶好茶';
const organization = '云上茶业有限公司';
const avatarUrl = 'https://cdn.example.com/teapot.png';
const unknown = { name: null, avatarUrl: null, introduction: null, organization: null };

/** Plays the story: each step a webhook or two, and what every sink got of it. */
export async function playStory(stage: Stage, teller: Teller): Promise<void> {
  const play = new Play(stage, teller);

  teller.step('A channel is created', 'The vendor tells it once, waits 2 s at most and never tells it again. It tells the name only.');
  const complete = await play.hold({ Name: names[0], Introduction: introduction });
  await play.send('created', 1, { Name: names[0] });
  await play.reaches({
    type: 'channel.created',
    revision: 1,
    changes: [{ field: 'name', from: null, to: names[0] }],
    profile: { ...unknown, name: names[0] },
  });

  teller.step('The rest of it is read', "The vendor's REST API knows what the webhook left out. It is asked at once.");
  await complete();
  await play.reaches({
    type: 'channel.profile.updated',
    revision: 2,
    changes: [{ field: 'introduction', from: null, to: introduction }],
    profile: { ...unknown, name: names[0], introduction },
  });

  teller.step('It is renamed', 'The vendor sends no old values: they are known from what was kept.');
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

  teller.step('A webhook is lost on the way', 'Its organization has changed, and nobody told. A comparison with the vendor finds it.');
  await play.compares({ Name: names[1], FaceUrl: avatarUrl, Introduction: '', Organization: organization });
  await play.reaches({
    type: 'channel.profile.updated',
    revision: 5,
    changes: [{ field: 'organization', from: null, to: organization }],
    profile: { name: names[1], avatarUrl, introduction: '', organization },
  });
  await play.comparisonIsTold();

  teller.step('Two changes arrive out of order', 'The newer first. The older is recorded, but never wins.');
  await play.send('changed', 5, { Name: names[2] });
  await play.reaches({
    type: 'channel.profile.updated',
    revision: 6,
    changes: [{ field: 'name', from: names[1], to: names[2] }],
    profile: { name: names[2], avatarUrl, introduction: '', organization },
  });
  await play.send('changed', 4, { Name: '云上茶馆 · 旧名' });
  await play.isStale('name');

  teller.step('A webhook comes twice', 'The same webhook, byte for byte: answered, not recorded again.');
  await play.repeatLast();

  teller.step(
    'The CRM is down when it is renamed',
    'It fails twice and comes back. Nobody else waits for it. (The name tries to ping the Slack channel.)',
  );
  stage.crm.failNext(2);
  await play.send('changed', 6, { Name: names[3] });
  await play.reaches(
    {
      type: 'channel.profile.updated',
      revision: 7,
      changes: [{ field: 'name', from: names[2], to: names[3] }],
      profile: { name: names[3], avatarUrl, introduction: '', organization },
    },
    3,
  );

  teller.step('The channel is destroyed', 'Its last known values are told once more, then all is unknown.');
  await play.send('destroyed', 7, { Name: names[3] });
  await play.reaches({
    type: 'channel.destroyed',
    revision: 8,
    changes: [
      { field: 'name', from: names[3], to: null },
      { field: 'avatarUrl', from: avatarUrl, to: null },
      { field: 'introduction', from: '', to: null },
      { field: 'organization', from: organization, to: null },
    ],
    profile: unknown,
  });

  teller.step('The books are closed', 'Per sink: owed = pending + delivered + superseded + parked + discarded.');
  await play.balances({ crm: 8, search: 8, audit: 8, slack: 9 });
}
