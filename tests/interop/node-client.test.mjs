// The Node client of plugin-bridge with a real daemon and two servers: what a plugin's author would write.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, it } from 'node:test';

import {
  CallRefused, Client, ConnectFailed, DaemonMissing, NotConnected, PermissionDenied, PlatformRefused, SafeMode, WebhookRefused,
} from '../../plugin-bridge/node/src/index.mjs';
import { LANDS } from './lib/lands.mjs';
import { PLATFORMS } from './lib/native.mjs';
import { until } from './lib/processes.mjs';

const SUBSCRIPTION = 'PUT /api/partner/v1/makepay/webhook-subscriptions/current';
const BIND = 'a-value-of-this-session-0123456789';

for (const make of LANDS) {
  const land = make();
  const plugin = (daemon, options = {}) => new Client({ plugin: 'interop/1.0', socket: daemon.socket, ...options });

  describe(`the Node client, against ${land.name}`, () => {
    before(() => land.start());
    after(() => land.stop());

    it('connects, calls, and disconnects', async () => {
      const daemon = await land.daemon();
      const store = plugin(daemon);
      assert.match(await store.handshake(), /^0\./);
      await assert.rejects(store.request('GET', 'makepay/payment-links'), NotConnected);

      const { authorization_url: url } = await store.connect({ bind: BIND });
      const query = await land.decide(url);
      await assert.rejects(store.callback({ query, bind: `${BIND}x` }), ConnectFailed);
      await assert.rejects(store.callback({ query: `${query}&state=x`, bind: BIND }), ConnectFailed);
      const { company } = await store.callback({ query, bind: BIND });
      assert.equal(company.name ?? land.company, land.company);
      assert.equal((await store.status()).state, 'connected');

      const create = () => store.request('POST', 'makepay/payment-links', {
        json: { payload: { amount: '19.90', fiatCurrency: 'EUR' } }, idempotencyKey: 'order-10422',
      });
      const [first, again] = [await create(), await create()];
      assert.equal(first.json.paymentLink.uid, again.json.paymentLink.uid);
      assert.deepEqual([first.status, again.status], [201, 200]);
      const { json } = await store.request('GET', 'makepay/payment-links', { query: { limit: '5' } });
      assert.equal(json.paymentLinks.length, 1);

      const unknown = await store.request('GET', 'makepay/payment-links/none').catch((error) => error);
      assert.deepEqual([unknown.constructor, unknown.status, unknown.code], [PlatformRefused, 404, 'payment_link_not_found']);
      await assert.rejects(store.request('GET', 'oauth/token'), CallRefused);
      await assert.rejects(store.request('GET', '../oauth/token'), CallRefused);
      await assert.rejects(store.proof({ method: 'GET', url: `${land.proxy.origin}/api/partner/v1/a` }), PermissionDenied);

      assert.equal((await store.disconnect()).state, 'disconnected');
      await assert.rejects(store.request('GET', 'makepay/payment-links'), NotConnected);
    });

    it('is told that the merchant said no, and the old connection goes on', async () => {
      const daemon = await land.connected();
      const store = plugin(daemon);
      const { authorization_url: url } = await store.connect({ bind: BIND });
      const { state } = Object.fromEntries(new URL(url).searchParams);
      const query = state
        ? new URLSearchParams({ error: 'access_denied', state, iss: land.proxy.origin }).toString()
        : await land.decide(url, 'deny');
      const denied = await store.callback({ query, bind: BIND }).catch((error) => error);
      assert.deepEqual([denied.constructor, denied.code], [ConnectFailed, 'callback_denied']);
      assert.ok(denied.nextStep);
      await store.request('GET', 'makepay/payment-links');
    });

    it('takes a notification once, and none that is not genuine', async () => {
      const site = `https://node-client-${process.pid}-${land.name.length}.example`;
      const daemon = await land.daemon('wordpress', {
        site_url: site, redirect_uri: PLATFORMS.wordpress.callback(site), webhook_url: `${site}/hook`,
      });
      await land.connect(daemon);
      const store = plugin(daemon);
      await until('notifications come', async () => (await store.status()).webhook.state === 'active');
      const secret = JSON.parse(land.proxy.answers(SUBSCRIPTION).at(-1)).signingSecret;
      const body = Buffer.from(JSON.stringify({ deliveryId: 'd-1', type: 'makepay.payment.status_changed', status: 'complete' }));
      const at = Math.floor(Date.now() / 1000);
      const signed = createHmac('sha256', secret).update(`${at}.`).update(body).digest('hex');
      const headers = { 'x-makepay-signature': `t=${at},v1=${signed}` };
      const { event } = await store.verifyWebhook({ headers, body });
      assert.equal(event.status, 'complete');
      const again = await store.verifyWebhook({ headers, body }).catch((error) => error);
      assert.deepEqual([again.constructor, again.code, again.status], [WebhookRefused, 'webhook_replayed', 409]);
      const forged = await store.verifyWebhook({ headers, body: Buffer.from('{"status":"refunded"}') }).catch((error) => error);
      assert.deepEqual([forged.constructor, forged.status], [WebhookRefused, 401]);
    });

    it('of another site of the store is told so, and of a daemon that is gone as well', async () => {
      const daemon = await land.daemon();
      const site = { home: 'https://shop.example', blog: 1, path: '/var/www/shop' };
      const store = plugin(daemon, { site });
      const { authorization_url: url } = await store.connect({ bind: BIND });
      await store.callback({ query: await land.decide(url), bind: BIND });
      await store.request('GET', 'makepay/payment-links');
      const staging = plugin(daemon, { site: { ...site, home: 'https://staging.example' } });
      await assert.rejects(staging.request('GET', 'makepay/payment-links'), SafeMode);
      assert.equal((await staging.status()).state, 'safe_mode');
      await store.request('GET', 'makepay/payment-links');
      await daemon.kill();
      await assert.rejects(store.status(), DaemonMissing);
    });
  });
}
