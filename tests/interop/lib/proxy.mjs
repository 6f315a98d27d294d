// A proxy that stands before a server and is what clients know it by. It counts requests and can lose or hold an
// answer after the server gave it: then the effect has happened for certain.
import { createServer, request as httpRequest } from 'node:http';

export class Proxy {
  target = undefined;
  #counts = {};
  #answers = {};
  #losses = [];
  #holds = [];

  static async start() {
    const proxy = new Proxy();
    // A connection that ends while its owner sends the next request would be a loss that no test has asked for.
    proxy.server = createServer({ keepAliveTimeout: 0 }, (incoming, outgoing) => proxy.#forward(incoming, outgoing));
    await new Promise((resolve) => { proxy.server.listen(0, '127.0.0.1', resolve); });
    proxy.origin = `http://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  /** How often `line` ("POST /oauth/token") was asked for. */
  count(line) {
    return this.#counts[line] ?? 0;
  }

  /** The bodies that the server answered to `line`, lost ones too. */
  answers(line) {
    return this.#answers[line] ?? [];
  }

  /** Loses the next `times` answers to `line`. */
  lose(line, times = 1) {
    this.#losses.push(...Array(times).fill(line));
  }

  /**
   * Holds the next answer to `line`, or with `phase` "request" the request before the server sees it. `arrived`
   * resolves once it is held; `release` lets it go, or takes the hold back where nothing was held yet.
   */
  hold(line, phase = 'answer') {
    const hold = { line, phase };
    hold.arrived = new Promise((resolve) => { hold.arrive = resolve; });
    hold.released = new Promise((resolve) => {
      hold.release = () => { hold.taken = true; resolve(); };
    });
    this.#holds.push(hold);
    return hold;
  }

  async #pass(line, phase) {
    const hold = this.#holds.find((one) => one.line === line && one.phase === phase && !one.taken);
    if (!hold) return;
    hold.taken = true;
    hold.arrive();
    await hold.released;
  }

  async #forward(incoming, outgoing) {
    const line = `${incoming.method} ${incoming.url.split('?')[0]}`;
    this.#counts[line] = this.count(line) + 1;
    await this.#pass(line, 'request');
    const { hostname, port } = new URL(this.target);
    const onward = httpRequest({
      host: hostname, port, method: incoming.method, path: incoming.url, headers: incoming.rawHeaders, agent: false,
    });
    const fail = () => incoming.socket.destroy();
    // Either side may be killed at any moment: then the other one's connection breaks as well.
    for (const stream of [incoming, outgoing, onward]) stream.on('error', fail);
    onward.once('response', (answer) => {
      const chunks = [];
      answer.on('error', fail).on('data', (chunk) => chunks.push(chunk));
      answer.once('end', () => this.#giveBack(line, { answer, body: Buffer.concat(chunks), outgoing, fail }));
    });
    incoming.pipe(onward);
  }

  async #giveBack(line, { answer, body, outgoing, fail }) {
    (this.#answers[line] ??= []).push(body.toString());
    await this.#pass(line, 'answer');
    const lost = this.#losses.indexOf(line);
    if (lost >= 0) {
      this.#losses.splice(lost, 1);
      fail();
    } else {
      outgoing.writeHead(answer.statusCode, answer.rawHeaders);
      outgoing.end(body);
    }
  }

  async stop() {
    this.#holds.forEach(({ release }) => release());
    this.server.closeAllConnections();
    await new Promise((resolve) => { this.server.close(resolve); });
  }
}
