import { changeTexts } from '../../../explanations/changes.js';
import type { Words } from './en.js';
import { formatsOf } from '../card/formats.js';
import { alertsZhCN } from './alerts-zh-cn.js';
import { lookupZhCN } from './lookup-zh-cn.js';

const formats = formatsOf('zh-CN');
const { number } = formats;
const texts = changeTexts['zh-CN'];

/** Texts of our messages in Simplified Chinese. */
export const zhCN: Words = {
  ...texts,
  formats,
  lookup: lookupZhCN,
  ...alertsZhCN,
  api: 'API',
  someone: 'Slack 用户',
  next: ' · ',
  since: time => `开始于 ${time}`,
  sentences: (first, second) => `${first}。${second}`,

  card: {
    notification: (name, id, effect) => `${name}（${id}）：${effect}`,
    noName: '（无名称）',
    blank: '（空白）',
    avatar: '头像',
    formerAvatar: '旧头像',
    newAvatar: '新头像',
    alike: '（仅有不可见或被截断的字符不同）',
    inThread: '（全文见消息列）',
    by: who => `操作者 ${who}`,
    byNobody: '操作者未知',
    app: app => `应用 ${app}`,
    revision: revision => `版本 ${number(revision)}`,
    test: '这是一条测试消息：没有任何变更。',
    before: name => `${name}（变更前）`,
    now: name => `${name}（变更后）`,
    inFull: '全文',
    cut: '内容已截断，全文可通过 API 查看。',
  },

  results: {
    ...texts.results,
    count: (count, which) => `${number(count)} 个${which === 'superseded' ? '已跳过' : texts.results.state[which]}`,
    folded: (count, what) => `…… 另有 ${number(count)} 个：${what.join('，')}`,
    waiting: (open, all) => `等待中：${number(all)} 个目标中还有 ${number(open)} 个未完成`,
    all: '所有目标均已同步',
    attention: what => `需要处理：${what.join('，')}`,
    finished: what => `已结束：${what.join('，')}`,
    fixed: '已修复 ',
    replay: who => `由 ${who} 重试，`,
    discard: who => `由 ${who} 放弃，`,
    actionsBefore: count => `…… 此前还有 ${number(count)} 次操作`,
  },

  buttons: {
    retry: '重试',
    retryAll: '全部重试',
    discard: '放弃',
    probe: '立即重试',
    pause: '暂停',
    resume: '恢复',
    repair: '修复',
    compareNow: '立即比对',
  },
  confirm: {
    retryAll: { title: '重试所有失败的变更？', text: '所有未能送达此目标的变更都会重新发送。请先解决问题，否则会再次失败。' },
    discard: { title: '放弃此变更？', text: '它将不再发送到投递失败的目标。之后仍可通过 API 重新发送。' },
    pause: { title: '暂停此目标？', text: '在有人恢复它之前，不会向其发送任何内容。期间的变更会排队等待，不会丢失。' },
    compareNow: { title: '将所有公众号与腾讯云比对？', text: '读取此应用在腾讯云的所有公众号，并更正差异。回调和目标无需等待。' },
    repair: { title: '修复此搜索索引？', text: '缺失和过期的文档会重新发送；多余的文档会被删除。' },
    no: '取消',
  },

  digest: {
    title: count => `${number(count)} 项变更已送达所有目标`,
    notification: (title, names, isAll) => `${title}：${names.join('、')}${isAll ? '' : '……'}`,
    more: (count, inThread) => `…… 另有 ${number(count)} 项${inThread ? '，全部见消息列' : ''}`,
    next: '；',
    part: (part, of) => `第 ${number(part)} 部分，共 ${number(of)} 部分`,
    rest: count => `…… 另有 ${number(count)} 项，可通过 API 查看`,
  },

  clicks: {
    notAllowed: '您没有权限执行此操作，请联系管理员将您加入 ALLOWED_USERS。',
    nothingLeft: {
      retry: '无需操作：此变更没有失败的投递。',
      retryAll: '无需操作：该目标没有失败的变更。',
      discard: '无需操作：此变更没有失败的投递。',
      probe: '无需操作：该目标没有停止。',
      pause: '无需操作：该目标已经暂停。',
      resume: '无需操作：该目标没有暂停。',
      compareNow: '此应用未与腾讯云比对。',
      repair: '该索引正在比对中。如果比对结束后此告警仍未关闭，请再点一次。',
    },
    failed: '操作未成功，请一分钟后重试。',
  },
};
