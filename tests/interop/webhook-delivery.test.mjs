// Notifications as they arrive: at receivers that fail, hang, redirect, answer a megabyte and come back, over kill -9 of
// the server. Every event arrives at least once, in order per payment link, and is signed as the recipients verify it.
import assert from 'node:assert/strict';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import { after, describe, it } from 'node:test';

import { ok, send } from './lib/http.mjs';
import { world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';
import { Daemon, until } from './lib/processes.mjs';

const SETTINGS = `
[webhooks]
interval_seconds = 1
retry_after_seconds = 2
attempts = 6
[outbound]
connect_seconds = 1
total_seconds = 1
`;

/** A receiver whose answers a test decides; it keeps everything that it was sent. */
class Receiver {
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
function verified({ headers, body }, secret, name = 'x-makepay-signature') {
  const other = name === 'x-makepay-signature' ? 'makecrypto-signature' : 'x-makepay-signature';
  assert.equal(headers[other], undefined);
  const parts = headers[name].split(',').map((part) => part.split('='));
  const [, time] = parts.find(([key]) => key === 't');
  assert.ok(Math.abs(Date.now() / 1000 - Number(time)) < 300, 'fresh');
  const expected = createHmac('sha256', secret).update(`${time}.`).update(body).digest();
  return parts.filter(([key]) => key === 'v1').some(([, value]) => timingSafeEqual(Buffer.from(value, 'hex'), expected));
}

const keys = (value) => Object.keys(value).sort();

/** What Medusa's plugin takes: these members and no others. */
function medusaTakes({ headers, json }) {
  assert.deepEqual(keys(json), [
    'companyId', 'createdAt', 'deliveryGroupId', 'deliveryId', 'grantId', 'installationId', 'paymentLink', 'schemaVersion',
    'session', 'status', 'subscriptionId', 'type',
  ]);
  assert.equal(json.schemaVersion, 'medusa.v1');
  assert.equal(new Date(json.createdAt).toISOString(), json.createdAt);
  assert.match(json.deliveryGroupId, /^mpwhgrp_[a-f0-9]{64}$/);
  assert.equal(headers['x-makepay-delivery-group-id'], json.deliveryGroupId);
  assert.equal(headers['x-makepay-delivery-id'], json.deliveryId);
  assert.equal(headers['x-makepay-event'], json.type);
  assert.deepEqual(keys(json.paymentLink), ['fiatAmount', 'fiatCurrency', 'metadata', 'uid']);
  assert.match(json.paymentLink.fiatAmount, /^(0|[1-9]\d*)(?:\.\d+)?$/);
  assert.match(json.paymentLink.fiatCurrency, /^[A-Z]{3}$/);
  assert.deepEqual(keys(json.paymentLink.metadata), [
    'medusaOrderDisplayId', 'medusaOrderId', 'medusaProviderId', 'medusaSessionId',
  ]);
  assert.deepEqual(keys(json.session), ['id', 'settlement']);
}

const receivers = [];
const here = world({ settings: SETTINGS, after: () => receivers.forEach((it) => it.stop()) });
const receiver = async () => {
  const made = await Receiver.start();
  receivers.push(made);
  return made;
};

/** A connected store whose notifications go to `receiver`; answers its secret. */
async function subscribed(platform, to) {
  const store = new Store(here.server, platform);
  await store.connect(here.browser);
  const json = { active: true, events: ['makepay.payment.*'], url: `${to.url}/hook`, rotateSecret: true };
  const { signingSecret, subscription } = ok(await store.api('PUT', 'webhook-subscriptions/current', { json }), 201);
  return { store, secret: signingSecret, subscription };
}

const order = { amount: '49.90', fiatCurrency: 'EUR', metadata: { medusaSessionId: 'ps_1', medusaProviderId: 'makepay' } };

async function link(store, payload = order) {
  return ok(await store.api('POST', 'payment-links', { json: { payload } }), 201).paymentLink.uid;
}

const moves = (uid, status, ...more) => here.server.operator(['payment-link', 'set-status', uid, status, ...more]);

describe('notifications', () => {
  it('are signed as the platform says, and said as Medusa and everybody else take them', async () => {
    const to = await receiver();
    for (const platform of ['medusa', 'wordpress']) {
      const { store, secret, subscription } = await subscribed(platform, to);
      const uid = await link(store);
      const { changed } = await moves(uid, 'complete', '--amount', '49.90');
      assert.equal(changed, true);
      assert.equal((await moves(uid, 'complete', '--amount', '49.90')).changed, false);
      await until('it arrives', () => to.statuses(uid).length === 1);
      const delivery = to.seen.at(-1);
      assert.ok(verified(delivery, secret));
      assert.ok(!verified(delivery, 'whsec_another'));
      assert.equal(delivery.headers['user-agent'], 'MakePay-Webhooks/1.0');
      assert.equal(delivery.headers['x-makepay-delivery-origin'], 'event');
      assert.equal(delivery.headers['x-makepay-attempt'], '1');
      assert.equal(delivery.json.subscriptionId, subscription.id);
      assert.equal(delivery.json.installationId, store.clientId);
      assert.equal(delivery.json.grantId, store.claims.grant_id);
      assert.equal(delivery.json.companyId, store.claims.company_id);
      if (platform === 'medusa') medusaTakes(delivery);
      else assert.equal(delivery.json.session.amount, '49.90');
      const read = ok(await store.api('GET', `payment-links/${uid}`)).paymentLink;
      assert.equal(read.latestSession.status, 'complete');
    }
  });

  it('arrive in order, each again until it is taken, whatever the receiver does', async () => {
    const to = await receiver();
    const elsewhere = await receiver();
    const { store, secret, subscription } = await subscribed('wordpress', to);
    const hanging = [];
    const turns = [
      (response) => response.writeHead(500).end('no'),
      (response) => hanging.push(response),
      (response) => response.writeHead(307, { location: `${elsewhere.url}/hook` }).end(),
      (response) => response.writeHead(500).end('x'.repeat(1 << 20)),
    ];
    to.answer = (response) => (turns.shift() ?? ((it) => it.end('ok')))(response);
    const uid = await link(store);
    const story = ['quoted', 'awaiting_deposit', 'pending', 'deposit_received', 'complete'];
    for (const status of story) await moves(uid, status);
    await until('all of them', () => to.statuses(uid).at(-1) === 'complete', 60);
    assert.deepEqual(to.statuses(uid), ['quoted', 'quoted', 'quoted', 'quoted', ...story]);
    assert.equal(elsewhere.seen.length, 0, 'no redirect is followed');
    const tries = to.seen.slice(0, 5);
    assert.deepEqual(tries.map(({ headers }) => headers['x-makepay-attempt']), ['1', '2', '3', '4', '5']);
    assert.equal(new Set(tries.map(({ json }) => json.deliveryId)).size, 5, 'each attempt has a name of its own');
    assert.equal(new Set(tries.map(({ json }) => json.deliveryGroupId)).size, 1, 'and one that they share');
    for (const delivery of to.seen) assert.ok(verified(delivery, secret));
    const list = ['webhook', 'deliveries', '--endpoint', subscription.id];
    const { deliveries } = await until('the log', async () => {
      const log = await here.server.operator(list);
      return log.deliveries.every(({ status }) => status === 'delivered') && log;
    });
    const first = await here.server.operator(['webhook', 'delivery', deliveries.at(-1).id]);
    assert.deepEqual(first.tries.map(({ responseStatus }) => responseStatus), [500, null, 307, 500, 200]);
    assert.match(first.tries[1].error, /^answer_timed_out/);
    assert.equal(first.tries[3].responseExcerpt.length, 2049);
    assert.ok(!JSON.stringify(first).includes(secret));
  });

  it('of one slow endpoint hold up nobody else, and are given up in the end', async () => {
    const [slow, quick] = [await receiver(), await receiver()];
    slow.answer = () => {};
    const lost = await subscribed('wordpress', slow);
    const found = await subscribed('wordpress', quick);
    const stuck = await Promise.all(Array.from({ length: 8 }, () => link(lost.store)));
    for (const uid of stuck) await moves(uid, 'quoted');
    const uid = await link(found.store);
    const begun = slow.seen.length;
    await moves(uid, 'quoted');
    await until('the quick one', () => quick.statuses(uid).length === 1);
    assert.ok(slow.seen.length - begun < 8 * 6, 'the slow one is far from done');
    const list = ['webhook', 'deliveries', '--endpoint', lost.subscription.id];
    const failed = await until('given up', async () => {
      const { deliveries } = await here.server.operator(list);
      return deliveries.length === 8 && deliveries.every(({ status }) => status === 'failed') && deliveries;
    }, 90);
    assert.ok(failed.every(({ reason, attempts }) => reason === 'attempts_exhausted' && attempts === 6));
    slow.answer = (response) => response.end('ok');
    const before = slow.seen.length;
    await here.server.operator(['webhook', 'retry', failed[0].id]);
    await until('once more', () => slow.seen.length === before + 1);
    assert.equal(slow.seen.at(-1).headers['x-makepay-delivery-origin'], 'manual');
    assert.equal(slow.seen.at(-1).json.deliveryGroupId, failed[0].deliveryGroupId);
  });

  it('are not lost when the server is killed', async () => {
    const to = await receiver();
    const { store, secret } = await subscribed('wordpress', to);
    const uid = await link(store);
    const story = ['quoted', 'awaiting_deposit', 'pending', 'deposit_received', 'swapping', 'sending', 'complete'];
    for (const status of story) {
      // It is on its way when the server dies: the receiver has it and has not answered.
      const sent = new Promise((resolve) => { to.answer = resolve; });
      await moves(uid, status);
      if (['quoted', 'swapping'].includes(status)) await sent;
      await here.server.kill();
      to.answer = (response) => response.end('ok');
      await here.server.launch();
    }
    await until('all of them', () => to.statuses(uid).at(-1) === 'complete', 60);
    const once = to.statuses(uid).filter((status, i, all) => status !== all[i - 1]);
    assert.deepEqual(once, story, 'none is lost, and none overtakes another');
    for (const delivery of to.seen) assert.ok(verified(delivery, secret));
  });

  it('are genuine to the daemon of the store', async () => {
    const to = await receiver();
    const site = to.url;
    const daemon = await Daemon.start({
      platform: 'wordpress', site_url: site, issuer: here.server.issuer, webhook_url: `${to.url}/hook`,
      redirect_uri: `${site}/wp-admin/admin-post.php?action=counterfoil_callback`, plugin_version: '1.0.0',
      platform_version: '6.9',
    });
    after(() => daemon.stop());
    const { authorization_url: url } = ok(await daemon.local('POST', '/v1/connect', { json: { bind: 'me' } }));
    const { callback } = await here.browser.approve(url);
    const query = new URL(callback).search.slice(1);
    ok(await daemon.local('POST', '/v1/callback', { json: { query, bind: 'me' } }));
    await until('notifications come', async () => (await daemon.status()).webhook.state === 'active');
    const made = await daemon.local('POST', '/v1/api/makepay/payment-links', { json: { payload: order } });
    const { uid } = ok(made, 201).paymentLink;
    await moves(uid, 'complete');
    await until('it arrives', () => to.statuses(uid).length === 1);
    const { headers, body } = to.seen[0];
    const json = { headers, body: body.toString('utf8') };
    const genuine = ok(await daemon.local('POST', '/v1/webhooks/verify', { json }));
    assert.equal(genuine.type, 'makepay.payment.status_changed');
    assert.equal(genuine.attempt, 1);
    const again = await daemon.local('POST', '/v1/webhooks/verify', { json });
    assert.equal(again.json.code, 'webhook_replayed');
  });

  it('of single links are signed with the secret for them, and BTCPay reads them', async () => {
    const to = await receiver();
    const store = new Store(here.server, 'btcpay-server');
    await store.connect(here.browser);
    const { webhookSecret: { secret } } = ok(await store.api('POST', 'webhook-secret', { json: {} }));
    const uid = await link(store, { amount: '0.0015', currency: 'BTC', webhookUrl: `${to.url}/plugins/makepay/webhook/1` });
    await moves(uid, 'pending');
    await until('it arrives', () => to.statuses(uid).length === 1);
    const [delivery] = to.seen;
    assert.equal(delivery.path, '/plugins/makepay/webhook/1');
    assert.ok(verified(delivery, secret));
    assert.equal(delivery.json.session.status, 'pending');
    assert.ok(delivery.json.deliveryId && delivery.json.session.id);
  });

  it('of an application are tried, signed with both secrets while one is changed, and can be stopped', async () => {
    const to = await receiver();
    const { client_id: app } = await here.server.app('Books', here.companies[0], {
      redirectUris: ['https://books.example/cb'], scopes: ['company:read'],
    });
    const { endpoint_id: id, signing_secret: first } = await here.server.operator(
      ['webhook', 'add', '--app', app, '--url', `${to.url}/app`],
    );
    const tried = async () => {
      const count = to.seen.length;
      await here.server.operator(['webhook', 'test', id]);
      await until('the test', () => to.seen.length === count + 1);
      return to.seen.at(-1);
    };
    const test = await tried();
    assert.equal(test.headers['x-makepay-delivery-origin'], 'test');
    assert.equal(test.json.type, 'makepay.webhook.test');
    assert.ok(verified(test, first, 'makecrypto-signature'));
    const { signing_secret: second } = await here.server.operator(['webhook', 'rotate', id]);
    const both = await tried();
    assert.ok(verified(both, first, 'makecrypto-signature') && verified(both, second, 'makecrypto-signature'));
    const { signing_secret: third } = await here.server.operator(['webhook', 'rotate', id, '--overlap', '0']);
    const one = await tried();
    assert.ok(verified(one, third, 'makecrypto-signature') && !verified(one, second, 'makecrypto-signature'));
    assert.equal((await here.server.operator(['webhook', 'disable', id])).status, 'disabled');
    assert.equal((await here.server.operator(['webhook', 'enable', id])).status, 'active');
  });

  it('go nowhere inside our own network', async () => {
    const server = here.server;
    const store = new Store(server, 'wordpress');
    await store.connect(here.browser);
    for (const url of ['https://10.0.0.1/hook', 'https://169.254.169.254/hook', 'https://[::ffff:10.0.0.1]/hook']) {
      const answer = await store.api('PUT', 'webhook-subscriptions/current', { json: { url } });
      assert.deepEqual([answer.status, answer.json.error], [400, 'invalid_callback_url'], url);
    }
    assert.equal((await send(`${server.address}/operator/v1/payment-links/x/status`, { json: {} })).status, 404);
  });
});
