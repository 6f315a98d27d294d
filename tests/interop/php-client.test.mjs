// The PHP client of plugin-bridge with a real daemon, through both of its transports: what a plugin's author would write.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { LANDS } from './lib/lands.mjs';
import { PLATFORMS } from './lib/native.mjs';
import { until } from './lib/processes.mjs';

const STORE = fileURLToPath(new URL('lib/php-store.php', import.meta.url));
const SUBSCRIPTION = 'PUT /api/partner/v1/makepay/webhook-subscriptions/current';
const BIND = 'a-value-of-this-session-0123456789';
const LINKS = 'makepay/payment-links';

/** Makes calls of the client in a PHP process, and answers what came of each. The proxy on the way lives in this one. */
async function php(daemon, transport, calls, site) {
  const child = spawn('php', ['-d', 'display_errors=stderr', STORE], { timeout: 60_000 });
  child.stdin.end(JSON.stringify({ socket: daemon.socket, transport, calls, site }));
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  assert.deepEqual([code, err], [0, '']);
  return JSON.parse(out);
}

const land = LANDS.map((make) => make()).find(({ name }) => name === 'counterfoil-server');

for (const transport of ['curl', 'streams']) {
  describe(`the PHP client, through ${transport}`, () => {
    before(() => land.start());
    after(() => land.stop());

    it('connects, calls, and disconnects', async () => {
      const daemon = await land.daemon();
      const [version, early, { authorization_url: url }] = await php(daemon, transport, [
        ['handshake', []], ['request', ['GET', LINKS]], ['connect', [BIND]],
      ]);
      assert.match(version, /^0\./);
      assert.equal(early.refused, 'NotConnected');
      const query = await land.decide(url);
      const create = ['request', ['POST', LINKS, { payload: { amount: '19.90', fiatCurrency: 'EUR' } }, 'order-10422']];
      const [foreign, doubled, connection, first, again, list, unknown, unlisted, climbing, proof, ended, late] = await php(daemon, transport, [
        ['callback', [query, `${BIND}x`]], ['callback', [`${query}&state=x`, BIND]], ['callback', [query, BIND]],
        create, create, ['request', ['GET', `${LINKS}?limit=5`]], ['request', ['GET', `${LINKS}/none`]],
        ['request', ['GET', 'oauth/token']], ['request', ['GET', '../oauth/token']],
        ['proof', ['GET', `${land.proxy.origin}/api/partner/v1/a`]], ['disconnect', []], ['request', ['GET', LINKS]],
      ]);
      assert.deepEqual([foreign.refused, doubled.refused], ['ConnectFailed', 'ConnectFailed']);
      assert.equal(connection.company.name, land.company);
      assert.deepEqual([first.status, again.status], [201, 200]);
      assert.equal(first.json.paymentLink.uid, again.json.paymentLink.uid);
      assert.equal(list.json.paymentLinks.length, 1);
      assert.deepEqual([unknown.refused, unknown.status, unknown.code], ['PlatformRefused', 404, 'payment_link_not_found']);
      assert.deepEqual([unlisted.refused, climbing.refused, proof.refused], ['CallRefused', 'CallRefused', 'PermissionDenied']);
      assert.deepEqual([ended.state, ended.pending, late.refused], ['disconnected', false, 'NotConnected']);
    });

    it('takes a notification once, and none that is not genuine', async () => {
      const site = `https://php-client-${process.pid}-${transport}.example`;
      const daemon = await land.daemon('wordpress', {
        site_url: site, redirect_uri: PLATFORMS.wordpress.callback(site), webhook_url: `${site}/hook`,
      });
      await land.connect(daemon);
      await until('notifications come', async () => (await daemon.status()).webhook.state === 'active');
      const secret = JSON.parse(land.proxy.answers(SUBSCRIPTION).at(-1)).signingSecret;
      const body = JSON.stringify({ deliveryId: 'd-1', type: 'makepay.payment.status_changed', status: 'complete', note: 'ü' });
      const at = Math.floor(Date.now() / 1000);
      const headers = { 'X-Makepay-Signature': `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}` };
      const base64 = (plain) => Buffer.from(plain).toString('base64');
      const genuine = ['verifyWebhook', [headers, base64(body)]];
      const [taken, again, forged] = await php(daemon, transport, [
        genuine, genuine, ['verifyWebhook', [headers, base64('{"status":"refunded"}')]],
      ]);
      assert.deepEqual([taken.event.status, taken.event.note], ['complete', 'ü']);
      assert.deepEqual([again.refused, again.code, again.status], ['WebhookRefused', 'webhook_replayed', 409]);
      assert.deepEqual([forged.refused, forged.status], ['WebhookRefused', 401]);
    });

    it('of another site of the store is told so, and of a daemon that is gone as well', async () => {
      const daemon = await land.daemon();
      const home = ['https://shop.example', 1, '/var/www/shop'];
      const [{ authorization_url: url }] = await php(daemon, transport, [['connect', [BIND]]], home);
      const [connection] = await php(daemon, transport, [['callback', [await land.decide(url), BIND]]], home);
      assert.equal(connection.state, 'connected');
      const [copy] = await php(daemon, transport, [['request', ['GET', LINKS]]], ['https://staging.example', 1, '/var/www/shop']);
      assert.deepEqual([copy.refused, copy.code], ['SafeMode', 'site_mismatch']);
      const [original] = await php(daemon, transport, [['request', ['GET', LINKS]]], home);
      assert.equal(original.status, 200);
      await daemon.kill();
      const [gone] = await php(daemon, transport, [['status', []]]);
      assert.equal(gone.refused, 'DaemonMissing');
    });
  });
}
