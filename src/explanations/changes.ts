import { english } from './en.js';
import { readExplanation } from './explanation.js';
import { chinese } from './zh-cn.js';

const fieldEn = { name: 'Name', avatarUrl: 'Avatar', introduction: 'Introduction', organization: 'Organization' };
type FieldName = keyof typeof fieldEn;
type Fields = readonly FieldName[];
const andEn = new Intl.ListFormat('en', { type: 'conjunction' });
const fieldsEn = (all: Fields) => andEn.format(all.map(one => fieldEn[one].toLowerCase()));
const inBracketsEn = (all: Fields) => (all.length > 0 ? ` (${fieldsEn(all)})` : '');
const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

const en = {
  colon: ': ',
  /** A stored reason or piece of advice as text. */
  explain: (text: string) => readExplanation(text, english),
  change: {
    field: fieldEn,
    created: 'Channel created',
    reCreated: 'Channel created again',
    updated: (all: Fields) => `Profile changed${inBracketsEn(all)}`,
    destroyed: 'Channel destroyed',
    older: (all: Fields) => `Ignored: older than the current profile${inBracketsEn(all)}`,
    tie: (all: Fields) => `Ignored: another update with the same timestamp won${inBracketsEn(all)}`,
    destroyedAlready: 'No change: the channel was already destroyed',
    equal: 'No change: these values were already set',
    notApplied: (all: Fields, tie: boolean) =>
      `${capital(fieldsEn(all))} ignored: the current ${all.length === 1 ? 'value is' : 'values are'} newer${tie ? ', or as new' : ''}.`,
    tieNote: 'Two updates had the same timestamp; one was chosen by a fixed rule.',
    estimated: 'No valid time in the webhook; arrival time shown.',
    nameUnknown: '(name unknown)',
    unknown: 'unknown',
    empty: '(empty)',
  },
  results: {
    state: {
      delivered: 'delivered',
      superseded: 'skipped: a newer change was sent',
      parked: 'failed',
      discarded: 'discarded',
      pending: 'queued',
      retrying: 'retrying',
    },
    next: { retrying: ' · next retry ', pending: ' · next attempt ' },
    skipped: 'not sent (template)',
    held: { paused: 'the sink is paused', removed: 'the sink is no longer configured' },
    none: 'No other sinks configured',
  },
  details: {
    source: { webhook: 'received by webhook', comparison: 'found by comparison with Tencent Chat', import: 'imported' },
    outcome: { delivered: 'delivered', retry: 'failed, to be retried', refused: 'rejected', misconfigured: 'failed: check its settings' },
    deliveries: 'Delivery',
    webhook: 'Raw webhook',
    noWebhook: 'There was no webhook.',
    before: 'Earlier changes of this channel',
    after: 'Later changes of this channel',
    none: 'None',
  },
};

const fieldZhCN: Record<FieldName, string> = { name: '名称', avatarUrl: '头像', introduction: '简介', organization: '所属组织' };
const fieldsZhCN = (all: Fields) => all.map(one => fieldZhCN[one]).join('、');
const inBracketsZhCN = (all: Fields) => (all.length > 0 ? `（${fieldsZhCN(all)}）` : '');

const zhCN: ChangeTexts = {
  colon: '：',
  explain: text => readExplanation(text, chinese),
  change: {
    field: fieldZhCN,
    created: '公众号已创建',
    reCreated: '公众号已重新创建',
    updated: all => `资料已更新${inBracketsZhCN(all)}`,
    destroyed: '公众号已销毁',
    older: all => `已忽略：早于当前资料${inBracketsZhCN(all)}`,
    tie: all => `已忽略：时间戳相同，以另一次更新为准${inBracketsZhCN(all)}`,
    destroyedAlready: '无变化：该公众号此前已销毁',
    equal: '无变化：与当前资料相同',
    notApplied: (all, tie) => `已忽略${fieldsZhCN(all)}：当前值的时间更晚${tie ? '或相同' : ''}。`,
    tieNote: '两次更新的时间戳相同，已按固定规则取其一。',
    estimated: '回调中没有有效时间，显示的是到达时间。',
    nameUnknown: '（名称未知）',
    unknown: '未知',
    empty: '（空）',
  },
  results: {
    state: {
      delivered: '已送达',
      superseded: '已跳过（之后的变更已发送）',
      parked: '失败',
      discarded: '已放弃',
      pending: '排队中',
      retrying: '重试中',
    },
    next: { retrying: ' · 下次重试 ', pending: ' · 下次尝试 ' },
    skipped: '未发送（模板）',
    held: { paused: '该目标已暂停', removed: '该目标已从配置中移除' },
    none: '没有配置其他目标',
  },
  details: {
    source: { webhook: '通过回调收到', comparison: '与腾讯云比对发现', import: '导入' },
    outcome: { delivered: '已送达', retry: '失败，将重试', refused: '被拒绝', misconfigured: '失败：请检查其配置' },
    deliveries: '投递情况',
    webhook: '原始回调',
    noWebhook: '没有对应的回调。',
    before: '该公众号此前的变更',
    after: '该公众号此后的变更',
    none: '无',
  },
};

/** Texts about a change that messages and pages share. */
export type ChangeTexts = typeof en;
export const changeTexts = { en, 'zh-CN': zhCN };
