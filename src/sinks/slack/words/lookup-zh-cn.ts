import { maxCounted } from '../../alert.js';
import { formatsOf } from '../card/formats.js';
import type { lookupEn } from './lookup-en.js';

const { number, duration, list } = formatsOf('zh-CN');
const upToMost = (count: number) => (count > maxCounted ? `超过 ${number(maxCounted)}` : number(count));

/** Texts of Home, Details and the slash command in Simplified Chinese. */
export const lookupZhCN: typeof lookupEn = {
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
  quoted: text => `“${text}”`,
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
    more: (count, what) => `…… 另有 ${number(count)} 个：${list(what)}`,
    well: '所有目标均已同步',
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
    title: '详情',
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
    cut: '已截断：全文可通过 API 查看。',
    gone: '这次变更已不再保留。',
  },
  home: {
    find: '查找公众号',
    placeholder: '名称或 ID 的一部分',
    refresh: '刷新',
    asOf: time => `截至 ${time}`,
    first: [
      '尚未收到任何内容。',
      '公众号的每次变更都会显示在这里，并以卡片形式发送到本应用的 Slack 频道：变更内容、操作者，以及各目标是否已同步。',
      '如果一直没有内容，请在腾讯云即时通信控制台中确认回调 URL 指向本服务，并已开启公众号相关回调。',
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
};
