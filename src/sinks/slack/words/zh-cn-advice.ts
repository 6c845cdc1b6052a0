/** What sinks advise, in Simplified Chinese; `{}` stands for a name or number in it. */
export const advice: Record<string, string> = {
  'Nothing to do unless it lasts: it is tried again by itself.': '除非一直如此，无需处理：会自动重试。',
  'It is tried again by itself.': '会自动重试。',
  'Check that the target answers.': '请确认对方有应答。',
  'Check that the target runs and can be reached from here; it is tried again by itself.':
    '请确认对方正在运行并且可以从此处访问；会自动重试。',
  'It may have arrived. Check that the target answers in time; it is tried again by itself.':
    '可能已经送达。请确认对方及时应答；会自动重试。',
  'The target may still be working on an earlier attempt at this delivery; it is tried again by itself.':
    '对方可能仍在处理此前对同一内容的发送；会自动重试。',
  'Check user and password in {}.': '请检查 {} 中的用户名和密码。',
  'The proxy of {} forbids it: allow the target there, or name it in NO_PROXY.':
    '{} 所指的代理不允许：请在代理中放行对方，或将其加入 NO_PROXY。',
  'Check that the proxy of {} can reach the target; it is tried again by itself.': '请确认 {} 所指的代理可以访问对方；会自动重试。',
  'Check {}: what is there does not seem to be a proxy that takes CONNECT.': '请检查 {}：那里似乎不是支持 CONNECT 的代理。',
  'Check the host name in {}, and the certificate there.': '请检查 {} 中的主机名，以及那里的证书。',
  'Check that the proxy of {} runs and can be reached from here; it is tried again by itself.':
    '请确认 {} 所指的代理正在运行并且可以从此处访问；会自动重试。',
  'Redirects are never followed: set the URL to its final address.': '不会跟随重定向：请将 URL 设为最终地址。',
  'Check the credentials of this sink.': '请检查该目标的凭据。',
  'Check the API key of this sink.': '请检查该目标的 API 密钥。',
  'Check the URL of this sink: nothing is there.': '请检查该目标的 URL：那里什么也没有。',
  'Check the URL of this sink: something else seems to be there.': '请检查该目标的 URL：那里似乎是别的服务。',
  'Correct the URL of this sink, or set its TYPE to what is there.': '请改正该目标的 URL，或将其 TYPE 设为那里的服务。',
  'Check what the URL of this sink leads to, if it lasts.': '如果一直如此，请检查该目标的 URL 指向何处。',
  'Check the host name in the URL of this sink.': '请检查该目标 URL 中的主机名。',
  'Check the certificate of the target; a private CA goes into the CA setting of this sink.':
    '请检查对方的证书；私有 CA 应填入该目标的 CA 设置。',
  'The sink does not take this delivery: see its own log for why, mend that, then replay.':
    '对方不接受此内容：请在其日志中查看原因，解决后重新发送。',
  'Other channels are taken: look at what is special about this one, mend that, then replay.':
    '其他公众号均被接受：请查看此公众号有何特殊之处，解决后重新发送。',
  'This is a bug of the sink.': '这是该目标程序的缺陷。',
  'This is a bug of the sink; it is tried again by itself.': '这是该目标程序的缺陷；会自动重试。',
  'Check what reads the output of this process; it is tried again by itself.': '请检查读取本进程输出的程序；会自动重试。',

  'BOT_TOKEN is not accepted: set the bot token that Slack shows for the installed app.':
    'BOT_TOKEN 未被接受：请填入 Slack 为已安装的应用显示的 Bot Token。',
  'Give the Slack app the scope chat:write, install it again, and set BOT_TOKEN to the token it then has.':
    '请为 Slack 应用添加权限 chat:write，重新安装，并将 BOT_TOKEN 设为新的 Token。',
  'Check CHANNEL: it must be the id of a channel, and the bot of BOT_TOKEN must be invited to it.':
    '请检查 CHANNEL：必须是频道的 ID，并且已邀请 BOT_TOKEN 的机器人加入。',
  'The channel of CHANNEL is archived: unarchive it, or set CHANNEL to another one.':
    'CHANNEL 的频道已归档：请取消归档，或将 CHANNEL 设为其他频道。',
  'A rule of the Slack workspace forbids it: ask an admin to allow the app to post to CHANNEL, or set CHANNEL to another one.':
    'Slack 工作区的规则不允许：请管理员允许该应用在 CHANNEL 中发送消息，或将 CHANNEL 设为其他频道。',
  'A rule of the Slack workspace forbids it: ask an admin, or set WEBHOOK_URL to an incoming webhook of another channel.':
    'Slack 工作区的规则不允许：请联系管理员，或将 WEBHOOK_URL 设为其他频道的 Incoming Webhook。',
  'WEBHOOK_URL is no longer valid: make a new incoming webhook in Slack and set WEBHOOK_URL to it.':
    'WEBHOOK_URL 已失效：请在 Slack 中新建 Incoming Webhook，并将 WEBHOOK_URL 设为它。',
  'The channel of WEBHOOK_URL is archived: unarchive it, or make an incoming webhook for another one.':
    'WEBHOOK_URL 的频道已归档：请取消归档，或为其他频道新建 Incoming Webhook。',
  'Slack does not take this message: please report it together with the id of the change.':
    'Slack 不接受此消息：请连同变更的 ID 一起报告。',
  'Check API_URL: it must be the root of a Slack API.': '请检查 API_URL：必须是 Slack API 的根地址。',
  'If it lasts, check API_URL and what stands between here and Slack.': '如果一直如此，请检查 API_URL，以及此处与 Slack 之间的网络。',
  'If it lasts, check WEBHOOK_URL and what stands between here and Slack.':
    '如果一直如此，请检查 WEBHOOK_URL，以及此处与 Slack 之间的网络。',
  'Check that Slack can be reached from here; the message may have arrived. It is tried again by itself.':
    '请确认可以从此处访问 Slack；消息可能已经送达。会自动重试。',

  'Check that it has the analyzer that ANALYZER names ({}); some come with plugins.':
    '请确认其中有 ANALYZER 所指的分析器（{}）；有些需要插件。',
  'Upgrade it: {} is the oldest that works.': '请升级：最低支持版本为 {}。',
  'Look for what else wrote into the database, restore the row of the change or of its channel, then replay or discard the delivery.':
    '请查明还有什么写入了数据库，恢复该变更或其公众号的数据行，然后重新发送或放弃该投递。',
  'Let the alias point at the one index that channel-sync made.': '请让该别名只指向 channel-sync 创建的那一个索引。',
  'Give that index the alias again, or delete it.': '请重新为该索引设置别名，或将其删除。',
  'Set INDEX to another name, or delete or rename that index; nothing was written to it.':
    '请将 INDEX 设为其他名称，或者删除或重命名该索引；没有写入任何内容。',
  'Set INDEX to another name, or remove that alias; nothing was written to it.':
    '请将 INDEX 设为其他名称，或移除该别名；没有写入任何内容。',
  'Delete or rename it; nothing was written to it.': '请将其删除或重命名；没有写入任何内容。',
  'Delete that index, or give it another name.': '请删除该索引，或为其改名。',
  'The index went away: the next try makes it anew. Rebuild it then.': '索引已消失：下次尝试时会重新创建。之后请重建。',
  'The index behind the alias is closed: open it.': '别名所指的索引已关闭：请将其打开。',
  'The index cannot be looked up or made: see the log of the search engine for why.': '无法查询或创建索引：请在搜索引擎的日志中查看原因。',
  'The index does not take this document: compare its mapping with the one of a new index, mend that, then replay.':
    '索引不接受此文档：请将其映射与新索引的映射比较，解决后重新发送。',
  'The index does not take this document: see the tasks of Meilisearch for why, mend that, then replay.':
    '索引不接受此文档：请在 Meilisearch 的任务中查看原因，解决后重新发送。',
  'See the tasks of Meilisearch for why; it is tried again by itself.': '请在 Meilisearch 的任务中查看原因；会自动重试。',
  'Check the disk of Meilisearch, and its log; it is tried again by itself.': '请检查 Meilisearch 的磁盘和日志；会自动重试。',
  'A disk of the search engine is too full: free some space; it goes on by itself then.':
    '搜索引擎的磁盘空间不足：请释放空间；之后会自动继续。',
  'Writing is blocked: free disk space on the cluster if it is short of it, then remove the block (index.blocks.*, cluster.blocks.*).':
    '写入被禁止：如果集群的磁盘空间不足，请释放空间，然后解除禁止（index.blocks.*、cluster.blocks.*）。',
  'The cluster makes no new index: free disk space on it if it is short of it, then remove the block (cluster.blocks.create_index).':
    '集群不允许新建索引：如果其磁盘空间不足，请释放空间，然后解除禁止（cluster.blocks.create_index）。',
  'The cluster is starting, or has no elected manager node: see its log if it lasts; it is tried again by itself.':
    '集群正在启动，或没有选出管理节点：如果一直如此，请查看其日志；会自动重试。',
  'The cluster has more to do than it can: give it more capacity if it lasts; it is tried again by itself.':
    '集群负载过高：如果一直如此，请增加其容量；会自动重试。',
  'The cluster is short of memory: give its nodes more if it lasts; it is tried again by itself.':
    '集群内存不足：如果一直如此，请为其节点增加内存；会自动重试。',
  'A shard of the index is not available: see the health of the cluster; it is tried again by itself.':
    '索引的某个分片不可用：请查看集群的健康状态；会自动重试。',
  'Check the credentials of this sink, and that they may read, write and manage INDEX, INDEX-next and the indices INDEX-v*.':
    '请检查该目标的凭据，以及它是否有权读取、写入和管理 INDEX、INDEX-next 和索引 INDEX-v*。',
  'A snapshot of the index is being made: it is tried again by itself.': '正在为索引制作快照：会自动重试。',
  'The index has as many fields as it may: raise its index.mapping.total_fields.limit, or rebuild it.':
    '索引的字段数已达上限：请调大其 index.mapping.total_fields.limit，或重建索引。',
  'The cluster takes no more shards: delete indices that nobody needs, or raise cluster.max_shards_per_node.':
    '集群的分片数已达上限：请删除不再需要的索引，或调大 cluster.max_shards_per_node。',
  'Set INDEX to a name that the search engine takes.': '请将 INDEX 设为搜索引擎接受的名称。',
  'Free disk space where Meilisearch keeps its data; it is tried again by itself.':
    '请在 Meilisearch 保存数据之处释放磁盘空间；会自动重试。',
  'Check API_KEY: see its description for the actions and indexes that it needs.': '请检查 API_KEY：所需的操作和索引见其说明。',
  'Let Meilisearch have more open files (ulimit -n); it is tried again by itself.':
    '请允许 Meilisearch 打开更多文件（ulimit -n）；会自动重试。',
  'Check how busy the search engine is, or raise TIMEOUT_MS; it is tried again by itself.':
    '请检查搜索引擎的负载，或调大 TIMEOUT_MS；会自动重试。',
  'The rebuild cannot end: see the log of the search engine for why.': '重建无法完成：请在搜索引擎的日志中查看原因。',
  'Start the rebuild again.': '请重新开始重建。',
};

const withNames = Object.entries(advice)
  .filter(([english]) => english.includes('{}'))
  .map(([english, chinese]) => [english.split('{}'), chinese] as const);

/** A piece of advice in Chinese; as it is if it is not one of ours. */
export function adviceInChinese(text: string): string {
  if (Object.hasOwn(advice, text)) return advice[text]!;
  for (const [[start = '', end = ''], chinese] of withNames)
    if (text.startsWith(start) && text.endsWith(end)) return chinese.replace('{}', () => text.slice(start.length, -end.length));
  return text;
}
