import { createHash } from 'node:crypto';

/** What the service under test is configured with and the generator signs with. */
export const appId = '1400000001';
export const token = 'bench-token';
export const path = '/webhooks/tencent-chat';

const command = 'OfficialAccount.CallbackAfterOfficialAccountInfoChanged';
/** Yesterday, so that no EventTime is ahead of the clock however many webhooks one run sends. */
const firstEventTime = Date.now() - 86_400_000;

/** One request, ready to be written to a socket, whose number can be changed in place: every number is another channel change. */
export class WebhookBuffer {
  readonly bytes: Buffer;
  readonly #channel: number;
  readonly #name: number;
  readonly #eventTime: number;

  constructor() {
    const body = JSON.stringify({
      CallbackCommand: command,
      Official_Account: '@TOA#_bench_0000',
      Operator_Account: 'administrator',
      Name: 'Bench 0000000000',
      FaceUrl: 'https://cdn.example.com/avatars/bench.png',
      Introduction: '每日新品与优惠 · daily offers',
      Organization: 'Retail',
      EventTime: 1_000_000_000_000,
    });
    const requestTime = String(Math.floor(Date.now() / 1000));
    const query = new URLSearchParams({
      SdkAppid: appId,
      CallbackCommand: command,
      contenttype: 'json',
      ClientIP: '127.0.0.1',
      OptPlatform: 'RESTAPI',
      Sign: createHash('sha256').update(token).update(requestTime).digest('hex'),
      RequestTime: requestTime,
    });
    const head = `POST ${path}?${query.toString()} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
    this.bytes = Buffer.from(head + body);
    this.#channel = this.bytes.indexOf('bench_0000') + 'bench_'.length;
    this.#name = this.bytes.indexOf('Bench 0000000000') + 'Bench '.length;
    this.#eventTime = this.bytes.indexOf('1000000000000');
  }

  number(number: number, channels: number): Buffer {
    this.bytes.write(String(number % channels).padStart(4, '0'), this.#channel, 'latin1');
    this.bytes.write(String(number).padStart(10, '0'), this.#name, 'latin1');
    this.bytes.write(String(firstEventTime + number), this.#eventTime, 'latin1');
    return this.bytes;
  }
}

/** The number of the webhook that a sink was told of. */
export function numberIn(sinkBody: string): number | null {
  const match = /"name":"Bench (\d{10})"/.exec(sinkBody);
  return match ? Number(match[1]) : null;
}

/** One clock for all processes of this machine, in milliseconds. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
