import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, type Server, createServer } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { avatarFolder } from './blocks.ts';

export interface Answer {
  status?: number;
  type?: string;
  body: string;
}

/** A page, with what lets its own style and script run. */
export type Page = (nonce: string) => string | Promise<string>;

/** What the site serves: pages and JSON by their path, and POSTs, whose paths may go on after their last slash. */
export interface Routes {
  pages: Record<string, Page>;
  json: Record<string, () => Promise<object>>;
  posts: Record<string, (rest: string, body: string, message: IncomingMessage) => Promise<Answer>>;
}

/** The demo's own pages on loopback, and the doors that Slack has. */
export class Site {
  readonly #server: Server;
  routes: Routes = { pages: {}, json: {}, posts: {} };

  readonly port: number;

  constructor(port: number) {
    this.port = port;
    this.#server = createServer((request, response) => {
      const nonce = randomBytes(12).toString('base64');
      this.#answer(request, nonce).then(
        ({ status = 200, type = 'application/json', body }) =>
          response
            .writeHead(status, {
              'content-type': `${type}; charset=utf-8`,
              'cache-control': 'no-store',
              'content-security-policy': `default-src 'none'; connect-src 'self'; img-src 'self'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'`,
            })
            .end(body),
        (error: unknown) => response.writeHead(502).end(String(error)),
      );
    });
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve, reject) => this.#server.once('error', reject).listen(this.port, '127.0.0.1', resolve));
    return this;
  }

  async close(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, nonce: string): Promise<Answer> {
    const { pathname } = new URL(request.url ?? '/', this.origin);
    const cut = pathname.lastIndexOf('/') + 1;
    const [start, rest] = [pathname.slice(0, cut), pathname.slice(cut)];
    if (request.method === 'POST') {
      // No page from elsewhere clicks here.
      if (!['same-origin', undefined].includes(request.headers['sec-fetch-site'] as string | undefined)) return { status: 403, body: '{}' };
      const post = this.routes.posts[pathname] ?? this.routes.posts[start];
      return post ? post(rest, await text(request), request) : { status: 404, body: '{}' };
    }
    const page = this.routes.pages[pathname];
    if (page) return { type: 'text/html', body: await page(nonce) };
    const json = this.routes.json[pathname];
    if (json) return { body: JSON.stringify(await json()) };
    const picture = /^\/avatars\/(\w+\.svg)$/.exec(pathname)?.[1];
    if (picture !== undefined) return { type: 'image/svg+xml', body: readFileSync(join(avatarFolder, picture), 'utf8') };
    return { status: 404, type: 'text/plain', body: 'There is no such page.' };
  }
}
