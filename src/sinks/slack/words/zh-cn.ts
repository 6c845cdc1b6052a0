import { changeTexts } from '../../../explanations/changes.js';
import type { Words } from './en.js';
import { formatsOf } from '../card/formats.js';
import { alertsZhCN, upToMost } from './alerts-zh-cn.js';

const formats = formatsOf('zh-CN');
const { number, duration } = formats;
const texts = changeTexts['zh-CN'];

/** Texts of our messages in Simplified Chinese. */
export const zhCN: Words = {
  ...texts,
  formats,
  ...alertsZhCN,
  api: 'API',
  someone: 'Slack 用户',
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
    details: '详情',
    refresh: '刷新',
  },
  confirm: {
    retryAll: { title: '重试所有失败的变更？', text: '所有未能送达此目标的变更都会重新发送。请先解决问题，否则会再次失败。' },
    discard: { title: '放弃此变更？', text: '它将不再发送到投递失败的目标。之后仍可通过 API 重新发送。' },
    pause: { title: '暂停此目标？', text: '在有人恢复它之前，不会向其发送任何内容。期间的变更会排队等待，不会丢失。' },
    compareNow: { title: '将所有公众号与腾讯云比对？', text: '读取此应用在腾讯云的所有公众号，并更正差异。回调和目标无需等待。' },
    repair: { title: '修复此搜索索引？', text: '缺失和过期的文档会重新发送；多余的文档会被删除。' },
  },
  cancel: '取消',

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

  lookup: {
    help: {
      title: '可用命令',
      usage: [
        ['status', '查看各目标的状态'],
        ['find 茶', '按名称或 ID 的一部分查找公众号'],
        ['channel @TOA#_tea', '查看一个公众号的资料，以及各目标是否已同步'],
        ['failed', '查看投递失败的变更'],
        ['help', '显示本帮助'],
      ],
    },
    sinks: {
      state: {
        ok: '已同步',
        retrying: '重试中',
        misconfigured: '已停止：请检查其配置',
        down: '不可用',
        paused: '已暂停',
      },
      delivering: '投递中',
      queued: (count, lagMs) => `${upToMost(count)} 项排队中，最早的已等待 ${duration(lagMs)}`,
      failed: count => `${upToMost(count)} 项失败`,
      busy: '所有目标工作正常',
      attention: sinks => `${number(sinks)} 个目标需要处理`,
    },
    latest: '最近的变更',
    failed: '失败的变更',
    noneFailed: '没有失败的变更',
    moreFailed: '仅显示最近的几项。',
    found: what => `与${what}匹配的公众号`,
    noneFound: what => `没有与${what}匹配的公众号`,
    noChannel: what => `没有 ID 为${what}的公众号`,
    giveText: usage => `请输入要查找的内容：${usage}`,
    more: count => `…… 另有 ${number(count)} 个`,
    destroyed: '已销毁',
    updated: '更新于 ',
    details: {
      close: '关闭',
      page: '在网页中打开（链接一小时内有效）',
      origin: {
        platform: value => `平台 ${value}`,
        clientIp: value => `来自 ${value}`,
        owner: value => `公众号所有者 ${value}`,
      },
      happened: '变更于 ',
      received: '，接收于 ',
      earlier: count => `…… 此前还有 ${number(count)} 次尝试`,
      gone: '这次变更已不再保留。',
    },
    home: {
      find: '查找公众号',
      placeholder: '名称或 ID 的一部分',
      asOf: time => `截至 ${time}`,
      first: [
        '尚未收到任何内容。',
        '公众号的每次变更都会显示在这里，并以卡片形式发送到本应用的 Slack 频道：变更内容、操作者，以及各目标是否已同步。',
        '如果一直没有内容，请在腾讯云即时通信控制台中确认回调地址指向本服务，并已开启公众号相关回调。',
      ],
      done: {
        retry: (_, count) => `已重新发送 ${number(count)} 项投递`,
        retryAll: (sink, count) => `已向 ${sink} 重新发送 ${number(count)} 项投递`,
        discard: (_, count) => `已放弃 ${number(count)} 项投递`,
        probe: sink => `正在重试 ${sink}`,
        pause: sink => `已暂停 ${sink}`,
        resume: sink => `已恢复 ${sink}`,
        compareNow: app => `正在将应用 ${app} 的公众号与腾讯云比对`,
        repair: sink => `正在修复 ${sink} 的索引`,
      },
    },
  },
};
