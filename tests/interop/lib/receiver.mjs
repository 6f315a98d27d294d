// A receiver of notifications, and the recipe by which it knows them to be genuine.
import assert from 'node:assert/strict';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

/** A receiver whose answers a test decides; it keeps everything that it was sent. */
export class Receiver {
  static async start() {
    const receiver = new Receiver();
    receiver.seen = [];
    receiver.answer = (response) => response.end('{"received":true}');
    receiver.server = createServer((request, response) => {
      // The server also asks a store's own address whose it is; this one does not say.
      if (request.method !== 'POST') {
        response.writeHead(404).end();
        return;
      }
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks);
        const delivery = { at: Date.now(), path: request.url, headers: request.headers, body, json: JSON.parse(body) };
        receiver.seen.push(delivery);
        response.on('error', () => {});
        receiver.answer(response, delivery);
      });
    });
    await new Promise((resolve) => { receiver.server.listen(0, '127.0.0.1', resolve); });
    receiver.url = `http://127.0.0.1:${receiver.server.address().port}`;
    return receiver;
  }

  statuses(uid) {
    return this.seen.filter(({ json }) => json.paymentLink?.uid === uid).map(({ json }) => json.status);
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** The recipe of the platform's page: `v1` values over timestamp.rawBody, of which one must be ours. */
export function verified({ headers, body }, secret, name = 'x-makepay-signature') {
  const other = name === 'x-makepay-signature' ? 'makecrypto-signature' : 'x-makepay-signature';
  assert.equal(headers[other], undefined);
  const parts = headers[name].split(',').map((part) => part.split('='));
  const [, time] = parts.find(([key]) => key === 't');
  assert.ok(Math.abs(Date.now() / 1000 - Number(time)) < 300, 'fresh');
  const expected = createHmac('sha256', secret).update(`${time}.`).update(body).digest();
  return parts.filter(([key]) => key === 'v1').some(([, value]) => timingSafeEqual(Buffer.from(value, 'hex'), expected));
}
