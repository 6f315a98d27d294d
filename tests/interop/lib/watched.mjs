// A place on loopback that nobody may ask: whoever comes is noticed.
import { connect, createServer } from 'node:net';

export class Watched {
  /** The ports from which they came, in their order. */
  #visits = [];
  #changed = () => {};

  static async start() {
    const watched = new Watched();
    watched.server = createServer((socket) => {
      watched.#visits.push(socket.remotePort);
      watched.#changed();
      socket.on('error', () => {}).destroy();
    });
    await new Promise((resolve) => { watched.server.listen(0, '127.0.0.1', resolve); });
    watched.host = `127.0.0.1:${watched.server.address().port}`;
    return watched;
  }

  /** How many have come so far. It comes itself and waits for that: connections are taken in their order. */
  async visits() {
    const own = connect(this.server.address().port, '127.0.0.1');
    const port = await new Promise((resolve) => { own.once('connect', () => resolve(own.localPort)); });
    own.on('error', () => {});
    while (!this.#visits.includes(port)) await new Promise((resolve) => { this.#changed = resolve; });
    this.#visits.splice(this.#visits.indexOf(port), 1);
    return this.#visits.length;
  }

  stop() {
    this.server.close();
  }
}
