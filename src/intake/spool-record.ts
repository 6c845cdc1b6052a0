import { crc32 } from 'node:zlib';
import { type InboundWebhook, minEventTime, maxEventTimeAheadMs } from '../channel/inbound-webhook.js';
import type { Command } from '../channel/merge.js';
import { type Origin, shortText } from '../channel/origin.js';
import { fieldNames } from '../channel/profile.js';

const lineEnd = 10;
/** An upper bound for plausible times that any date format can still represent. */
const latestTime = Date.UTC(9999, 11, 31);

/** Encodes a webhook as one line: format version, CRC-32 and JSON, which contains no newline. */
export function encodeRecord({ body, ...webhook }: InboundWebhook): Buffer {
  const json = Buffer.from(JSON.stringify({ ...webhook, body: Buffer.from(body).toString('base64') }));
  return Buffer.concat([Buffer.from(`1 ${checkOf(json)} `), json, Buffer.of(lineEnd)]);
}

/** Decodes a file of records. An unterminated last line is ignored: it was never acknowledged. Any other invalid line is damaged. */
export function decodeRecords(bytes: Buffer): { webhooks: InboundWebhook[]; damaged: Buffer[] } {
  const [webhooks, damaged]: [InboundWebhook[], Buffer[]] = [[], []];
  for (let from = 0, end = bytes.indexOf(lineEnd); end >= 0; from = end + 1, end = bytes.indexOf(lineEnd, from)) {
    const line = bytes.subarray(from, end);
    if (line.length === 0) continue;
    const webhook = decodeLine(line);
    if (webhook) webhooks.push(webhook);
    else damaged.push(line);
  }
  return { webhooks, damaged };
}

function decodeLine(line: Buffer): InboundWebhook | null {
  const json = line.subarray(11);
  if (line.subarray(0, 11).toString() !== `1 ${checkOf(json)} `) return null;
  try {
    return inboundWebhookOf(JSON.parse(json.toString()) as Partial<Record<string, unknown>> | null);
  } catch {
    return null;
  }
}

/** As strict as the validation of webhooks: the result goes to every sink. Unknown keys are ignored, since a newer release may add some. */
function inboundWebhookOf(record: Partial<Record<string, unknown>> | null): InboundWebhook | null {
  const { id, sdkAppId, channelId, command, operator, eventTime, eventTimeEstimated, receivedAt, body } = record ?? {};
  const fields = fieldsOf(record?.['fields']);
  const isOurs =
    isText(id) &&
    /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(id) &&
    isText(sdkAppId) &&
    /^\d{1,20}$/.test(sdkAppId) &&
    isText(channelId) &&
    channelId.trim() !== '' &&
    Buffer.byteLength(channelId) <= 255 &&
    isCommand(command) &&
    (operator === null || isText(operator)) &&
    typeof eventTimeEstimated === 'boolean' &&
    isTime(receivedAt, 0, latestTime) &&
    isTime(eventTime, eventTimeEstimated ? 0 : minEventTime, receivedAt + maxEventTimeAheadMs) &&
    typeof body === 'string' &&
    /^[A-Za-z0-9+/]*={0,2}$/.test(body);
  if (!isOurs || !fields) return null;
  const bytes = Buffer.from(body, 'base64');
  const origin = originOf(record?.['origin']);
  const times = { eventTime, eventTimeEstimated, receivedAt };
  return { id, sdkAppId, channelId, command, source: 'webhook', operator, origin, ...times, fields, body: bytes };
}

/** Earlier releases did not write an origin. */
function originOf(value: unknown): Origin {
  const { clientIp, platform, owner } = (value ?? {}) as Partial<Record<string, unknown>>;
  return { clientIp: shortText(clientIp), platform: shortText(platform), owner: shortText(owner) };
}

function fieldsOf(value: unknown): InboundWebhook['fields'] | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const known = Object.entries(value).filter(([name]) => (fieldNames as readonly string[]).includes(name));
  return known.every(([, value]) => isText(value)) ? (Object.fromEntries(known) as InboundWebhook['fields']) : null;
}

/** Whether the value is text that every database can store. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed() && !value.includes('\0');
}

function isCommand(value: unknown): value is Command {
  return value === 'created' || value === 'changed' || value === 'destroyed';
}

function isTime(value: unknown, from: number, to: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= from && (value as number) <= to;
}

function checkOf(json: Buffer): string {
  return crc32(json).toString(16).padStart(8, '0');
}
