// Notifications, from the subscription to the plugin's question whether a delivery is genuine. The deliveries are
// signed here, as the contract says, with the secret that went by in the proxy.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';

import { ok } from './lib/http.mjs';
import { contractLand, LANDS } from './lib/lands.mjs';
import { PLATFORMS } from './lib/native.mjs';
import { DAEMON_BIN, run, until } from './lib/processes.mjs';

const API = '/api/partner/v1/makepay';
const SUBSCRIPTION = `PUT ${API}/webhook-subscriptions/current`;
const SECRET = `POST ${API}/webhook-secret`;
const LINKS = '/v1/api/makepay/payment-links';

const now = () => Math.floor(Date.now() / 1000);
const sign = (secret, body, at = now()) => `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`;
const verify = (daemon, json) => daemon.local('POST', '/v1/webhooks/verify', { json });
const active = (daemon) => until('notifications come', async () => (await daemon.status()).webhook.state === 'active');
const refused = (answer, code, status) => {
  assert.equal(answer.json.code, code, answer.text);
  assert.equal(answer.status, status, code);
  assert.match(answer.headers['content-type'], /^application\/problem\+json/);
};

let deliveries = 0;
const event = (about = {}) => JSON.stringify({
  deliveryId: `delivery-${deliveries += 1}`, deliveryGroupId: 'mpwhgrp_1', type: 'makepay.payment.status_changed',
  status: 'complete', ...about,
});

/** What a plugin hands over for a delivery with this body. */
const delivery = (secret, body, { at, name = 'X-MakePay-Signature', headers } = {}) => ({
  headers: { 'content-type': 'application/json', 'x-makepay-attempt': '1', [name]: sign(secret, body, at), ...headers },
  body,
});

for (const make of LANDS) {
  const land = make();
  const secrets = () => land.proxy.answers(SUBSCRIPTION).map((text) => JSON.parse(text).signingSecret);
  const newest = () => secrets().at(-1);

  /** A connected daemon whose store wants notifications. */
  const connected = async (platform = 'wordpress') => {
    const site = `https://notified-${process.pid}-${deliveries += 1}.example`;
    const daemon = await land.daemon(platform, {
      site_url: site, redirect_uri: PLATFORMS[platform].callback(site), webhook_url: `${site}/hook`,
    });
    await land.connect(daemon);
    await active(daemon);
    return daemon;
  };

  const webhook = (daemon, ...args) => run(DAEMON_BIN, [
    'webhook', ...args, '--config', daemon.config, '--state-dir', daemon.stateDir, '--socket', daemon.socket,
  ]);

  describe(`notifications of ${land.name}`, () => {
    before(() => land.start());
    after(() => land.stop());

    it('are wanted by the store\'s file alone', async () => {
      const before = land.proxy.count(SUBSCRIPTION);
      const daemon = await land.connected();
      const { webhook: view } = await daemon.status();
      assert.deepEqual(view, { state: 'off', url: null, subscription_id: null, since: null, last_error: null });
      assert.equal(land.proxy.count(SUBSCRIPTION), before);
      refused(await verify(daemon, delivery('whsec_x', event())), 'webhook_not_configured', 409);
    });

    it('are taken once when they are genuine, also over kill -9', async () => {
      const daemon = await connected();
      const status = await daemon.status();
      const { company, grant_id: grantId, client_id: installationId, webhook: { subscription_id: subscriptionId } } = status;
      assert.ok(subscriptionId);
      const names = { companyId: company.id, grantId, installationId, subscriptionId };
      const sent = delivery(newest(), event(names));
      const first = ok(await verify(daemon, sent));
      assert.deepEqual(first.event, JSON.parse(sent.body));
      assert.equal(first.delivery_id, first.event.deliveryId);
      assert.equal(first.delivery_group_id, 'mpwhgrp_1');
      assert.equal(first.type, 'makepay.payment.status_changed');
      assert.equal(first.attempt, 1);
      assert.ok(Math.abs(first.signed_at - now()) < 60);
      refused(await verify(daemon, sent), 'webhook_replayed', 409);
      await daemon.restart();
      refused(await verify(daemon, sent), 'webhook_replayed', 409);
      ok(await verify(daemon, delivery(newest(), event(names))));
      for (const name of Object.keys(names)) {
        const other = delivery(newest(), event({ ...names, [name]: 'another' }));
        refused(await verify(daemon, other), 'webhook_wrong_subscription', 400);
      }
      assert.ok(!JSON.stringify(status).includes('whsec_'));
      assert.ok(!readFileSync(`${daemon.directory.path}/daemon.log`, 'utf8').includes('whsec_'));
    });

    it('are refused, each for its own reason, when they are not', async () => {
      const daemon = await connected();
      const secret = newest();
      const body = event();
      const good = delivery(secret, body);
      const signature = good.headers['X-MakePay-Signature'];
      const cases = [
        ['webhook_signature_invalid', 401, delivery('whsec_another', body)],
        ['webhook_signature_invalid', 401, { ...good, body: body.replace('complete', 'refunded') }],
        ['webhook_signature_missing', 400, { headers: { 'x-signature': signature }, body }],
        ['webhook_signature_missing', 400, { headers: {}, body }],
        ['webhook_malformed', 400, { headers: { 'x-makepay-signature': [signature, signature] }, body }],
        ['webhook_malformed', 400, { headers: { 'x-makepay-signature': signature, 'makecrypto-signature': signature }, body }],
        ['webhook_malformed', 400, { headers: { 'x-makepay-signature': 'v1=00' }, body }],
        ['webhook_malformed', 400, delivery(secret, 'no JSON')],
        ['webhook_malformed', 400, delivery(secret, '{"status":"failed","status":"complete"}')],
        ['webhook_stale', 401, delivery(secret, body, { at: now() - 400 })],
        ['webhook_stale', 401, delivery(secret, body, { at: now() + 400 })],
        ['body_malformed', 400, { headers: good.headers }],
        ['body_malformed', 400, { ...good, body_base64: 'e30=' }],
        ['body_malformed', 400, { ...good, more: 1 }],
        ['body_malformed', 400, { headers: { a: 1 }, body }],
        ['body_too_large', 413, { ...good, body: 'x'.repeat(256 * 1024 + 1) }],
      ];
      for (const [code, status, json] of cases) refused(await verify(daemon, json), code, status);
      const other = delivery(secret, body, { name: 'makecrypto-signature' });
      ok(await verify(daemon, { headers: other.headers, body_base64: Buffer.from(body).toString('base64') }));
    });

    it('are asked for again, with the same key, when the answer is lost', async () => {
      const count = land.proxy.count(SUBSCRIPTION);
      land.proxy.lose(SUBSCRIPTION);
      const daemon = await connected();
      assert.equal(land.proxy.count(SUBSCRIPTION), count + 2);
      const [lost, again] = secrets().slice(-2);
      assert.equal(again, lost, 'the same request has the same answer');
      ok(await verify(daemon, delivery(again, event())));
    });

    it('are asked for again when kill -9 cuts the request off', async () => {
      const site = `https://killed-${process.pid}-${deliveries += 1}.example`;
      const daemon = await land.daemon('wordpress', {
        site_url: site, redirect_uri: PLATFORMS.wordpress.callback(site), webhook_url: `${site}/hook`,
      });
      const hold = land.proxy.hold(SUBSCRIPTION);
      await land.connect(daemon);
      await hold.arrived;
      assert.equal((await daemon.status()).webhook.state, 'pending');
      refused(await verify(daemon, delivery(newest(), event())), 'webhook_pending', 503);
      await daemon.kill();
      hold.release();
      await daemon.launch();
      await active(daemon);
      const [before, again] = secrets().slice(-2);
      assert.equal(again, before, 'the same request has the same answer');
      ok(await verify(daemon, delivery(again, event())));
    });

    it('have a new secret at every connect and on demand, and the one before counts on', async () => {
      const daemon = await connected();
      const first = newest();
      await land.connect(daemon);
      await until('another secret', () => newest() !== first);
      await active(daemon);
      const second = newest();
      ok(await verify(daemon, delivery(first, event())));
      ok(await verify(daemon, delivery(second, event())));
      const { code, stdout } = await webhook(daemon, 'rotate');
      assert.equal(code, 0, stdout);
      const third = newest();
      assert.ok(third !== second && !stdout.includes(third));
      ok(await verify(daemon, delivery(second, event())));
      ok(await verify(daemon, delivery(third, event())));
      refused(await verify(daemon, delivery(first, event())), 'webhook_signature_invalid', 401);
      const shown = await webhook(daemon, 'show');
      assert.equal(shown.code, 0);
      assert.match(shown.stdout, /\/hook/);
      assert.ok(!shown.stdout.includes('whsec_'));
      refused(await daemon.local('POST', '/v1/admin/webhook/rotate'), 'admin_only', 403);
    });

    it('go elsewhere when the store\'s file says so', async () => {
      const daemon = await connected();
      const before = newest();
      writeFileSync(daemon.config, readFileSync(daemon.config, 'utf8').replace('/hook"', '/elsewhere"'));
      daemon.process.child.kill('SIGHUP');
      await until('another address', async () => {
        const { webhook: view } = await daemon.status();
        return view.state === 'active' && view.url.endsWith('/elsewhere') && newest() !== before;
      });
      assert.match(JSON.parse(land.proxy.answers(SUBSCRIPTION).at(-1)).subscription.url, /\/elsewhere$/);
      ok(await verify(daemon, delivery(newest(), event())));
    });

    it('are signed with the secret of payment links for BTCPay', async () => {
      const daemon = await connected('btcpay-server');
      const { webhook: view } = await daemon.status();
      assert.equal(view.subscription_id, null);
      const { webhookSecret: { secret } } = JSON.parse(land.proxy.answers(SECRET).at(-1));
      ok(await verify(daemon, delivery(secret, JSON.stringify({ delivery_id: 'b-1', paymentLink: { uid: 'pl_1' } }))));
    });

    it('let a Medusa store make payment links, and are forgotten when it disconnects', async () => {
      const daemon = await connected('medusa');
      ok(await daemon.local('POST', LINKS, { json: { payload: { amount: '1.00', fiatCurrency: 'EUR' } } }), 201);
      const secret = newest();
      ok(await daemon.local('POST', '/v1/disconnect', { json: {} }));
      assert.equal((await daemon.status()).webhook.state, 'waiting');
      refused(await verify(daemon, delivery(secret, event())), 'webhook_not_configured', 409);
    });
  });
}

describe('a subscription that the platform takes for inactive', () => {
  const land = contractLand();
  before(() => land.start());
  after(() => land.stop());

  it('is made anew', async () => {
    const site = `https://inactive-${process.pid}.example`;
    const daemon = await land.daemon('medusa', {
      site_url: site, redirect_uri: `${site}/makepay/oauth/callback`, webhook_url: `${site}/hook`,
    });
    await land.connect(daemon);
    await active(daemon);
    const count = land.proxy.count(SUBSCRIPTION);
    await land.control('fail', {
      endpoint: 'create-link', count: 1, status: 409, body: '{"error":"webhook_subscription_inactive"}',
    });
    const create = () => daemon.local('POST', LINKS, { json: { payload: { amount: '1.00', fiatCurrency: 'EUR' } } });
    const first = await create();
    assert.deepEqual([first.status, first.json.error], [409, 'webhook_subscription_inactive']);
    await until('asked anew', () => land.proxy.count(SUBSCRIPTION) > count);
    await active(daemon);
    ok(await create(), 201);
  });
});
