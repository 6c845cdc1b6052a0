import { maxCounted } from '../../alert.js';
import { formatsOf } from '../card/formats.js';
import type { alertsEn } from './alerts-en.js';

const { number, duration } = formatsOf('zh-CN');
/** A number of changes, which are counted only up to a limit. */
export const upToMost = (count: number) => (count > maxCounted ? `超过 ${number(maxCounted)}` : number(count));

/** Texts of alerts and the daily summary in Simplified Chinese. */
export const alertsZhCN: typeof alertsEn = {
  wrong: '错误：',
  wasWrong: '当时的错误：',
  todo: '处理办法：',
  lasted: ms => `问题持续了 ${duration(ms)}。`,
  fallback: '由于当时无法在 ALERT_CHANNEL 中发送消息，此告警发到了这里。请邀请机器人加入该频道，或更正该设置，之后的告警会发到那里。',

  incident: {
    misconfigured: sink => `${sink} 已停止：请检查其配置`,
    retrying: sink => `${sink} 检查未通过`,
    down: sink => `${sink} 不可用`,
    paused: sink => `${sink} 已暂停`,
    over: sink => `${sink} 已恢复正常`,
    goesOn: sink => `${sink} 已恢复投递`,
    waiting: count =>
      count === 0
        ? '没有排队的变更。新的变更会保留，恢复正常后立即发送。'
        : `${upToMost(count)} 项变更正在排队，不会丢失，恢复正常后立即发送。`,
    waitingPaused: count =>
      count === 0 ? '没有排队的变更。新的变更会保留，在有人恢复它后发送。' : `${upToMost(count)} 项变更正在排队，将在有人恢复它后发送。`,
    again: '曾短暂恢复，随后再次停止。',
    took: ms => `问题持续了 ${duration(ms)}，没有丢失任何变更。`,
    wasPaused: ms => `暂停了 ${duration(ms)}，没有丢失任何变更。`,
    left: count => `${upToMost(count)} 项排队的变更正在发送。`,
    pausedBy: who => `由 ${who} 暂停。`,
    resumedBy: who => `由 ${who} 恢复。`,
    failures: '最近的错误',
  },

  removed: {
    title: sink => `${sink} 已从配置中移除`,
    waiting: (count, sink, days) =>
      count === 0 ? '没有排队的变更。' : `${upToMost(count)} 项变更仍在排队：如果在 ${number(days)} 天之内重新配置 ${sink}，则会发送。`,
    parked: (count, sink, days) => `${upToMost(count)} 项失败的变更仍保留：如果在 ${number(days)} 天之内重新配置 ${sink}，则可以重试。`,
    index: '其索引保持原样。',
  },

  silence: {
    title: ms => `超过 ${duration(ms)}没有收到回调`,
    calm: '如果没有人修改过资料，则属正常。否则：请在腾讯云即时通信控制台确认回调地址指向本服务，并且公众号的回调已开启。',
    rejected: '有回调到达，但被拒绝：请查看关于被拒绝的回调的告警。',
    over: '已重新收到回调',
    took: ms => `有 ${duration(ms)}没有收到回调。`,
  },

  rejected: {
    title: count => `已拒绝 ${number(count)} 条回调`,
    lost: '这些回调已丢失：腾讯云不会重发。',
    cause: {
      app: count => `${number(count)} 条 SdkAppid 未知：`,
      unsigned: count => `${number(count)} 条没有签名：`,
      clock: count => `${number(count)} 条与本机时钟相差过大：`,
      signature: count => `${number(count)} 条签名无效：`,
      too_large: count => `${number(count)} 条过大：`,
      invalid: count => `${number(count)} 条无法解析：`,
      unavailable: count => `${number(count)} 条无法保存：`,
    },
    todo: {
      app: '请核对 SDK_APP_IDS。如果其中已列出您的所有应用，则是他人在调用此地址，这些请求会被拒绝。',
      unsigned: '请在控制台开启回调鉴权，并使用 WEBHOOK_TOKENS 中的 Token。',
      clock: '请检查本机时钟。如果时钟准确，则是他人在调用此地址，这些请求会被拒绝。',
      signature: '请核对 WEBHOOK_TOKENS 与控制台中的鉴权 Token 是否一致。如果一致，则是他人在调用此地址，这些请求会被拒绝。',
      too_large: '请调大 WEBHOOK_BODY_LIMIT。',
      invalid: '请检查途中是否有代理等改动了请求。',
      unavailable: '请检查数据库；如果使用了 SPOOL_DIR，也请检查。日志中有原因。',
    },
    over: '不再有回调被拒绝',
    took: (count, ms) => `在 ${duration(ms)}内拒绝了 ${number(count)} 条回调。`,
  },

  parked: {
    title: (count, sink) => `${upToMost(count)} 项变更未能送达 ${sink}`,
    latest: '最近的错误：',
    decide: (buttons, cards) =>
      `变更没有丢失：可${buttons ? `在此全部重试，或${cards ? '在各自的卡片上或' : ''}` : ''}通过 API 逐项重试或放弃。`,
    over: sink => `${sink} 已没有失败的变更`,
  },

  differences: {
    title: sink => `搜索索引 ${sink} 数据不一致`,
    found: '最近一次比对：',
    list: what => what.join('，'),
    count: {
      missing: count => `缺少 ${number(count)} 个文档`,
      older: count => `${number(count)} 个已过期`,
      newer: count => `${number(count)} 个比本地数据更新`,
      surplus: count => `${number(count)} 个多余`,
    },
    todo: '请修复：缺失和过期的文档会重新发送；多余的文档会被删除。',
    todoByApi: sink =>
      `请调用 POST /api/v1/sinks/${sink}/verify，内容为 {"repair": true}，以修复：缺失和过期的文档会重新发送；多余的文档会被删除。`,
    again: '如果反复出现，说明有其他程序在写入这个索引。',
    over: sink => `搜索索引 ${sink} 数据已恢复一致`,
  },

  vendor: {
    misconfigured: app => `应用 ${app} 未与腾讯云比对：请检查其配置`,
    retrying: app => `应用 ${app} 的腾讯云 API 不可用`,
    harmless: '回调和目标不受影响。失败的调用会自动重试。',
    over: app => `应用 ${app} 的腾讯云 API 已恢复`,
  },

  compared: {
    corrected: (count, of) => `${number(of)} 个公众号中有 ${number(count)} 个与腾讯云不一致，已更正`,
    imported: (count, of) => `已导入 ${number(of)} 个公众号中的 ${number(count)} 个`,
    failed: app => `应用 ${app} 与腾讯云的比对失败`,
    counts: (app, destroyed, imported, failed) =>
      `应用 ${app}：${number(destroyed)} 个已销毁，${number(imported)} 个新增，${number(failed)} 个未能比对。`,
    first: '其中第一个：',
  },

  summary: {
    title: '每日汇总',
    changes: (count, channels) => (count === 0 ? '没有变更。' : `${number(channels)} 个公众号共 ${number(count)} 项变更。`),
    delivered: count => `已送达 ${number(count)} 项`,
    slowest: ms => `最慢 ${duration(ms)}`,
    parked: count => `失败 ${number(count)} 项`,
    waiting: count => `排队 ${number(count)} 项`,
    more: count => `…… 另有 ${number(count)} 个目标`,
    phrase: (what, state) => `${what}${state}`,
    well: '所有目标均已同步。',
    open: (parked, waiting) => `${parked > 0 ? '需要处理：' : ''}失败 ${number(parked)} 项，排队 ${number(waiting)} 项。`,
  },
};
