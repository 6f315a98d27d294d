// A place on loopback that nobody may ask: whoever comes is noticed.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Watched {
  #visits = 0;

  static async start() {
    const watched = new Watched();
    watched.server = createServer((socket) => {
      watched.#visits += 1;
      watched.server.emit('visit');
      socket.on('error', () => {}).destroy();
    });
    await new Promise((resolve) => { watched.server.listen(0, '127.0.0.1', resolve); });
    watched.host = `127.0.0.1:${watched.server.address().port}`;
    return watched;
  }

  /** How many have come so far. It comes itself and waits for that: connections are taken in their order. */
  async visits() {
    const arrived = once(this.server, 'visit');
    connect(this.server.address().port, '127.0.0.1').on('error', () => {});
    await arrived;
    this.#visits -= 1;
    return this.#visits;
  }

  stop() {
    this.server.close();
  }
}
