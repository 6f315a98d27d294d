// An API behind the gateway: it does what the path says, and remembers what it was sent.
import { createServer } from 'node:http';
import { createServer as createSecure } from 'node:https';

export class Upstream {
  /** At a unix `socket`, or a free port; with `tls` ({ key, cert }) over https. */
  static async start({ socket, tls } = {}) {
    const upstream = new Upstream();
    upstream.requests = [];
    upstream.waiting = [];
    const take = (request, response) => upstream.#take(request, response);
    upstream.server = tls ? createSecure(tls, take) : createServer(take);
    upstream.server.keepAliveTimeout = 600_000;
    await new Promise((resolve) => {
      if (socket) upstream.server.listen(socket, resolve);
      else upstream.server.listen(0, '127.0.0.1', resolve);
    });
    return upstream;
  }

  get port() {
    return this.server.address().port;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async #take(request, response) {
    const seen = {
      method: request.method, url: request.url, headers: request.headers, rawHeaders: request.rawHeaders, request,
      response, body: Buffer.alloc(0), ended: false, broken: false,
    };
    this.requests.push(seen);
    response.once('close', () => {
      seen.closed = true;
      for (const resolve of this.waiting.splice(0)) resolve();
    });
    for (const resolve of this.waiting.splice(0)) resolve();
    const answer = this.answers?.(seen);
    if (answer?.begin) answer.begin(seen);
    try {
      for await (const chunk of request) {
        seen.body = Buffer.concat([seen.body, chunk]);
        for (const resolve of this.waiting.splice(0)) resolve();
      }
      seen.ended = true;
    } catch {
      seen.broken = true;
    }
    for (const resolve of this.waiting.splice(0)) resolve();
    if (seen.broken || answer?.begin) return;
    if (typeof answer === 'function') answer(seen);
    else {
      const { status = 200, headers = {}, body = 'fine' } = answer ?? {};
      response.writeHead(status, headers);
      response.end(body);
    }
  }

  /** The next change: a request, a piece of a body, an end. */
  async until(condition) {
    const end = setTimeout(() => { throw new Error('the upstream waits for too long'); }, 120_000);
    for (;;) {
      const found = condition(this.requests);
      if (found) {
        clearTimeout(end);
        return found;
      }
      await new Promise((resolve) => { this.waiting.push(resolve); });
    }
  }

  /** What came since this was asked the last time. */
  taken() {
    return this.requests.splice(0);
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => { this.server.close(resolve); });
  }
}
