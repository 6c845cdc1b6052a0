import type { lookupEn } from './lookup-en.js';

/** What Home, Details and the slash command say in Simplified Chinese. */
export const lookupZhCN: typeof lookupEn = {
  help: {
    title: '可用命令',
    usage: [
      ['status', '查看各目标的状态'],
      ['find 茶', '按名称或 ID 的一部分查找公众号'],
      ['channel @TOA#_tea', '查看一个公众号：资料，以及各目标是否已同步'],
      ['failed', '查看投递失败的变更，可重试或放弃'],
      ['help', '显示本帮助'],
    ],
  },
};
