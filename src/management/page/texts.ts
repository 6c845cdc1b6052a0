import { changeTexts } from '../../explanations/changes.js';

const en = {
  ...changeTexts.en,
  before: 'Before',
  now: 'Now',
  facts: {
    channel: 'Channel',
    app: 'App',
    change: 'Change',
    revision: 'Revision',
    operator: 'Operator',
    platform: 'Platform',
    clientIp: 'Client IP',
    owner: 'Owner',
    source: 'Source',
    happened: 'Changed at',
    received: 'Received at',
  },
  columns: { at: 'Time', outcome: 'Outcome', duration: 'Duration', status: 'Status', error: 'Error', response: "Target's answer" },
  changeColumns: { at: 'Time', what: 'Change', operator: 'Operator' },
};

const zhCN: typeof en = {
  ...changeTexts['zh-CN'],
  before: '变更前',
  now: '变更后',
  facts: {
    channel: '公众号',
    app: '应用',
    change: '变更',
    revision: '版本',
    operator: '操作者',
    platform: '平台',
    clientIp: '客户端 IP',
    owner: '所有者',
    source: '来源',
    happened: '变更时间',
    received: '接收时间',
  },
  columns: { at: '时间', outcome: '结果', duration: '用时', status: '状态码', error: '错误', response: '目标的应答' },
  changeColumns: { at: '时间', what: '变更', operator: '操作者' },
};

/** The texts of the page by language tag. */
export const pageTexts = { en, 'zh-CN': zhCN };
export type Language = keyof typeof pageTexts;
export type PageTexts = typeof en;
