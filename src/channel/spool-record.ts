import { crc32 } from 'node:zlib';
import type { Receipt } from './recorder.js';

const lineEnd = 10;

/** One receipt as a line that checks itself: the format's version, a CRC-32 and JSON, which holds no line end. */
export function encodeRecord({ body, ...receipt }: Receipt): Buffer {
  const json = Buffer.from(JSON.stringify({ ...receipt, body: Buffer.from(body).toString('base64') }));
  return Buffer.concat([Buffer.from(`1 ${checkOf(json)} `), json, Buffer.of(lineEnd)]);
}

/** What a file of records holds. A last line without its end was never answered for; any other that does not check is damaged. */
export function decodeRecords(bytes: Buffer): { receipts: Receipt[]; damaged: Buffer[] } {
  const [receipts, damaged]: [Receipt[], Buffer[]] = [[], []];
  for (let from = 0, end = bytes.indexOf(lineEnd); end >= 0; from = end + 1, end = bytes.indexOf(lineEnd, from)) {
    const line = bytes.subarray(from, end);
    if (line.length === 0) continue;
    const receipt = decodeLine(line);
    if (receipt) receipts.push(receipt);
    else damaged.push(line);
  }
  return { receipts, damaged };
}

function decodeLine(line: Buffer): Receipt | null {
  const json = line.subarray(11);
  if (line.subarray(0, 11).toString() !== `1 ${checkOf(json)} `) return null;
  const { body, ...receipt } = JSON.parse(json.toString()) as Omit<Receipt, 'body'> & { body: string };
  return { ...receipt, body: Buffer.from(body, 'base64') };
}

function checkOf(json: Buffer): string {
  return crc32(json).toString(16).padStart(8, '0');
}
