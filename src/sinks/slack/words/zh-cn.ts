import { readExplanation } from '../../../explanations/explanation.js';
import { chinese } from '../../../explanations/zh-cn.js';
import type { SinkResult } from '../../report-sink.js';
import type { FieldName } from '../../sink.js';
import { countedMost } from '../../alert.js';
import type { Words } from './en.js';
import { formatsOf } from '../card/formats.js';
import { lookupZhCN } from './lookup-zh-cn.js';

const formats = formatsOf('zh-CN');
const { number, list } = formats;
/** Begins a sentence. */
const upToMost = (count: number) => (count > countedMost ? `超过 ${number(countedMost)}` : number(count));
/** With blanks around numbers, as in all our texts. */
const duration = (ms: number) => formats.duration(ms).replace(/(?<=\d)(?=\p{Script=Han})|(?<=\p{Script=Han})(?=\d)/gu, ' ');

const field: Record<FieldName, string> = { name: '名称', avatarUrl: '头像', introduction: '简介', organization: '所属组织' };
const fields = (all: readonly FieldName[]) => list(all.map(one => field[one]));
const inBrackets = (all: readonly FieldName[]) => (all.length > 0 ? `（${fields(all)}）` : '');

const state: Record<SinkResult['state'], string> = {
  delivered: '已送达',
  superseded: '已被更新的内容取代',
  parked: '已搁置',
  discarded: '已放弃',
  pending: '等待中',
  retrying: '失败',
};

/** Every text of our messages in Simplified Chinese. */
export const zhCN: Words = {
  formats,
  lookup: lookupZhCN,
  api: 'API',
  colon: '：',
  period: (from, to) => `${from} – ${to}`,
  since: time => `开始于 ${time}`,
  notification: (title, first) => `${title}。${first}`,

  card: {
    field,
    created: '公众号已创建',
    reCreated: '公众号已重新创建',
    updated: all => `资料已更新${inBrackets(all)}`,
    destroyed: '公众号已销毁',
    notification: (name, id, effect, end) => `${name}（${id}）：${effect}${end === '' ? '' : `。${end}`}。`,
    nameUnknown: '（名称未知）',
    noName: '（无名称）',
    unknown: '未知',
    empty: '（空）',
    blank: '（空白）',
    avatar: '头像',
    alike: '（差异在此处不可见）',
    inThread: '（全文见消息列）',
    by: who => `操作者：${who}`,
    byNobody: '未提供操作者',
    facts: (app, revision, change) => `应用 ${app}${revision === null ? '' : `，版本 ${number(revision)}`}，变更 ${change}`,
    nothing: why => `没有变化：${why}`,
    older: all => `早于现有数据，未采用${inBrackets(all)}`,
    tie: all => `以同一时间的另一条回调为准${inBrackets(all)}`,
    destroyedAlready: '该公众号此前已销毁',
    equal: '与现有数据相同',
    notApplied: (all, tie) => `未采用：${fields(all)}。现有数据的时间更晚${tie ? '或相同' : ''}。`,
    tieNote: '同一时间的另一条回调内容不同；两个文本中以较大者为准。',
    estimated: '回调未带可用的时间：此处为到达时间。',
    test: '这是一条测试消息：没有任何变更。',
    before: name => `${name}（变更前）`,
    now: name => `${name}（变更后）`,
    inFull: '全文',
    cut: '此处截断：全文可通过 API 查看。',
  },

  results: {
    state,
    deliveredIn: ms => `已送达，用时 ${duration(ms)}`,
    again: '，将重试',
    next: { retrying: '，下次重试：', pending: '，下次尝试：' },
    held: { paused: '该目标已暂停', removed: '该目标已不在配置中' },
    count: (count, which) => `${number(count)} 个${which === 'superseded' ? '已被取代' : state[which]}`,
    folded: (count, what) => `…… 另有 ${number(count)} 个：${what.join('，')}`,
    none: '没有其他目标需要通知',
    waiting: (open, all) => `正在等待 ${number(all)} 个目标中的 ${number(open)} 个`,
    all: '所有目标均已收到',
    allOrNewer: '所有目标均已收到此内容或更新的内容',
    done: what => `已结束：${what.join('，')}`,
    replay: who => `由 ${who} 重试，`,
    discard: who => `由 ${who} 放弃，`,
    actionsBefore: count => `…… 此前另有 ${number(count)} 次操作`,
  },

  buttons: {
    retry: '重试',
    discard: '放弃',
    pause: '暂停',
    resume: '恢复',
    repair: '修复',
  },
  confirm: {
    discard: { title: '放弃此变更？', text: '它将不再发送到投递失败的目标。之后仍可通过 API 重新发送。' },
    pause: { title: '暂停此目标？', text: '在有人恢复它之前，不会向其发送任何内容。期间的变更会排队等待，不会丢失。' },
    repair: { title: '修复此搜索索引？', text: '缺失和过期的文档会重新发送；多余的文档会被删除。' },
    no: '取消',
  },

  digest: {
    title: count => `${number(count)} 项变更，所有目标均已收到`,
    notification: (title, names, isAll) => `${title}：${names.join('、')}${isAll ? '' : '……'}`,
    more: (count, inThread) => `…… 另有 ${number(count)} 项${inThread ? '：全部见消息列' : ''}`,
    next: '；',
    part: (part, of) => `第 ${number(part)} 部分，共 ${number(of)} 部分`,
    rest: count => `…… 另有 ${number(count)} 项，可通过 API 查看`,
  },

  wrong: '问题：',
  wasWrong: '当时的问题：',
  todo: '处理办法：',
  explain: text => readExplanation(text, chinese),

  incident: {
    misconfigured: sink => `${sink} 已停止：配置有误`,
    retrying: sink => `${sink} 检查未通过`,
    down: sink => `${sink} 无法使用`,
    paused: sink => `${sink} 已暂停`,
    over: sink => `${sink} 已恢复正常`,
    goesOn: sink => `${sink} 已不再暂停`,
    waiting: count =>
      count === 0 ? '没有变更在等待。新的变更会保留到恢复正常为止。' : `${upToMost(count)} 项变更在等待。没有丢失：恢复正常后立即发送。`,
    waitingPaused: count =>
      count === 0 ? '没有变更在等待。新的变更会保留到有人恢复它为止。' : `${upToMost(count)} 项变更在等待。没有丢失：有人恢复它后发送。`,
    took: ms => `历时 ${duration(ms)}。没有丢失任何变更。`,
    left: count => `${upToMost(count)} 项等待过的变更正在发送。`,
    pausedBy: who => `由 ${who} 暂停。`,
    resumedBy: who => `由 ${who} 恢复。`,
    failures: '最近的失败',
  },

  removed: {
    title: sink => `${sink} 已不在配置中`,
    waiting: count =>
      count === 0 ? '没有变更在等待。' : `${upToMost(count)} 项变更仍在等待：如果在 RETENTION_DAYS 之内重新配置它，则会发送。`,
    parked: count => `${upToMost(count)} 项变更仍被搁置：如果在 RETENTION_DAYS 之内重新配置它，则可以重新发送。`,
    index: '其索引保持原样。',
  },

  silence: {
    title: ms => `超过 ${duration(ms)}没有收到回调`,
    calm: '如果没有人修改过资料，则属正常。否则：请在腾讯云即时通信控制台确认回调地址指向本服务，并且公众号的回调已开启。',
    rejected: '有回调到达，但被拒绝：请查看关于被拒绝的回调的消息。',
    over: '已重新收到回调',
    took: ms => `有 ${duration(ms)}没有收到回调。`,
  },

  rejected: {
    title: count => `已拒绝 ${number(count)} 条回调`,
    lost: '这些回调已丢失：腾讯云不会重发。',
    cause: {
      app: count => `${number(count)} 条来自未知应用：`,
      unsigned: count => `${number(count)} 条没有签名：`,
      clock: count => `${number(count)} 条与本机时钟相差过大：`,
      signature: count => `${number(count)} 条签名无效：`,
      too_large: count => `${number(count)} 条过大：`,
      invalid: count => `${number(count)} 条无法读取：`,
      unavailable: count => `${number(count)} 条无法保存：`,
    },
    todo: {
      app: '请核对 SDK_APP_IDS。如果其中已列出您的所有应用，则是他人在调用此地址，这些请求会被拒绝。',
      unsigned: '请在控制台开启回调鉴权，并使用 WEBHOOK_TOKENS 中的 Token。',
      clock: '请检查本机时钟。如果时钟准确，则是他人在调用此地址，这些请求会被拒绝。',
      signature: '请核对 WEBHOOK_TOKENS 与控制台中的鉴权 Token 是否一致。如果一致，则是他人在调用此地址，这些请求会被拒绝。',
      too_large: '请调大 WEBHOOK_BODY_LIMIT。',
      invalid: '请检查途中是否有代理等改动了请求。',
      unavailable: '请检查数据库和 SPOOL_DIR；日志中有原因。',
    },
    over: '不再有被拒绝的回调',
    took: (count, ms) => `在 ${duration(ms)}内拒绝了 ${number(count)} 条回调。`,
  },

  parked: {
    title: (count, sink) => `${upToMost(count)} 项变更在 ${sink} 处被搁置`,
    newest: '最近一项的原因：',
    decide: '每一项都在等待有人重新发送或放弃：可在其卡片上操作，或通过 API。',
    decideByApi: '每一项都在等待有人通过 API 重新发送或放弃。',
    over: sink => `${sink} 处已没有被搁置的变更`,
    took: ms => `历时 ${duration(ms)}。`,
  },

  differences: {
    title: sink => `${sink} 的索引与应有内容不符`,
    found: what => `最近一次与存储的比较发现：${what.join('，')}`,
    count: {
      missing: count => `缺少 ${number(count)} 个文档`,
      older: count => `${number(count)} 个过旧`,
      newer: count => `${number(count)} 个比存储更新`,
      surplus: count => `${number(count)} 个多余`,
    },
    todo: '修复它：缺失和过期的文档会重新发送；多余的文档会被删除。',
    todoByApi: sink =>
      `调用 POST /api/v1/sinks/${sink}/verify，内容为 {"repair": true}，以修复它：缺失和过期的文档会重新发送；多余的文档会被删除。`,
    again: '如果再次出现，则是他人在写入这个索引。',
    over: sink => `${sink} 的索引已恢复应有内容`,
    took: ms => `历时 ${duration(ms)}。最近一次比较没有发现问题或已修复，或索引已重建。`,
  },

  clicks: {
    notAllowed: '你没有权限执行此操作：只有 ALLOWED_USERS 中的用户可以。',
    nothingLeft: {
      retry: '无需操作：这次变更没有搁置的投递。',
      discard: '无需操作：这次变更没有搁置的投递。',
      pause: '无需操作：该目标已经暂停。',
      resume: '无需操作：该目标没有暂停。',
      repair: '它的索引正在与存储比较：如果之后此消息仍未结束，请再点一次。',
    },
    failed: '出了点问题，请一分钟后重试。',
  },

  summary: {
    title: '每日摘要',
    changes: (count, channels) => (count === 0 ? '没有变更。' : `${number(channels)} 个公众号共 ${number(count)} 项变更。`),
    delivered: count => `已送达 ${number(count)} 项`,
    slowest: ms => `最慢 ${duration(ms)}`,
    parked: count => `搁置 ${number(count)} 项`,
    waiting: count => `等待 ${number(count)} 项`,
    next: '，',
    more: count => `…… 另有 ${number(count)} 个目标`,
    phrase: (what, state) => `${what}${state}`,
    well: '所有目标均已收到全部变更。',
    open: (parked, waiting) => `搁置 ${number(parked)} 项，等待 ${number(waiting)} 项。`,
  },
};
