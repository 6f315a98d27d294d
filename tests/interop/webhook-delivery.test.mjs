// Notifications as they arrive: at receivers that fail, hang, redirect, answer a megabyte and come back, over kill -9 of
// the server. Every event arrives at least once, in order per payment link, and is signed as the recipients verify it.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { readForms } from './lib/browser.mjs';
import { random } from './lib/dpop.mjs';
import { ok, send } from './lib/http.mjs';
import { world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';
import { Daemon, SERVER_BIN, run, temporaryDirectory, until } from './lib/processes.mjs';
import { Receiver, verified } from './lib/receiver.mjs';

const TOKEN = random();
const directory = temporaryDirectory();
writeFileSync(join(directory.path, 'engine.token'), TOKEN, { mode: 0o600 });

const settings = (attempts, seconds) => `
[engine]
token_file = "${join(directory.path, 'engine.token')}"
[webhooks]
interval_seconds = 1
retry_after_seconds = 2
attempts = ${attempts}
[outbound]
connect_seconds = ${seconds}
total_seconds = ${seconds}
`;

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
const receiver = async () => {
  const made = await Receiver.start();
  receivers.push(made);
  return made;
};
after(() => {
  receivers.forEach((it) => it.stop());
  directory.remove();
});

/** A connected store at this server whose notifications go to `receiver`; answers its secret. */
async function subscribed(at, platform, to) {
  const store = new Store(at.server, platform);
  await store.connect(at.browser);
  const json = { active: true, events: ['makepay.payment.*'], url: `${to.url}/hook`, rotateSecret: true };
  const { signingSecret, subscription } = ok(await store.api('PUT', 'webhook-subscriptions/current', { json }), 201);
  return { store, secret: signingSecret, subscription };
}

const order = { amount: '49.90', fiatCurrency: 'EUR', metadata: { medusaSessionId: 'ps_1', medusaProviderId: 'makepay' } };

async function link(store, payload = order) {
  return ok(await store.api('POST', 'payment-links', { json: { payload } }), 201).paymentLink.uid;
}

const moves = ({ server }, uid, status, ...more) => server.operator(['payment-link', 'set-status', uid, status, ...more]);
/** The deliveries to an endpoint, newest first, and the attempts at one. */
const deliveriesTo = async ({ server }, id) => (
  (await server.operator(['webhook', 'deliveries', '--endpoint', id, '--limit', '100'])).deliveries
);
const triesOf = async ({ server }, { id }) => (await server.operator(['webhook', 'delivery', id])).tries;
/** What was said, without what was said again. */
const once = (statuses) => statuses.filter((status, i, all) => status !== all[i - 1]);
const STORY = ['quoted', 'awaiting_deposit', 'pending', 'deposit_received', 'complete'];

describe('notifications', () => {
  // Nothing here ends by time: an answer is waited for as long as it takes.
  const here = world({ settings: settings(6, 60) });

  it('are signed as the platform says, and said as Medusa and everybody else take them', async () => {
    const to = await receiver();
    for (const platform of ['medusa', 'wordpress']) {
      const { store, secret, subscription } = await subscribed(here, platform, to);
      const uid = await link(store);
      const { changed } = await moves(here, uid, 'complete', '--amount', '49.90');
      assert.equal(changed, true);
      assert.equal((await moves(here, uid, 'complete', '--amount', '49.90')).changed, false);
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

  it('of one slow endpoint hold up nobody else, and are given up in the end', async () => {
    const [slow, quick] = [await receiver(), await receiver()];
    const hanging = [];
    slow.answer = (response) => { hanging.push(response); };
    const lost = await subscribed(here, 'wordpress', slow);
    const found = await subscribed(here, 'wordpress', quick);
    const stuck = await Promise.all(Array.from({ length: 8 }, () => link(lost.store)));
    for (const uid of stuck) await moves(here, uid, 'quoted');
    await until('the slow one has some', () => hanging.length > 0);
    const uid = await link(found.store);
    await moves(here, uid, 'quoted');
    await until('the quick one', () => quick.statuses(uid).length === 1);
    assert.ok(hanging.some((response) => !response.destroyed), 'the slow one has said nothing yet');
    slow.answer = (response) => response.destroy();
    hanging.forEach((response) => response.destroy());
    const failed = await until('given up', async () => {
      const deliveries = await deliveriesTo(here, lost.subscription.id);
      return deliveries.length === 8 && deliveries.every(({ status }) => status === 'failed') && deliveries;
    });
    assert.ok(failed.every(({ reason, attempts }) => reason === 'attempts_exhausted' && attempts === 6));
    slow.answer = (response) => response.end('ok');
    const before = slow.seen.length;
    await here.server.operator(['webhook', 'retry', failed[0].id]);
    await until('once more', () => slow.seen.length === before + 1);
    assert.equal(slow.seen.at(-1).headers['x-makepay-delivery-origin'], 'manual');
    assert.equal(slow.seen.at(-1).json.deliveryGroupId, failed[0].deliveryGroupId);
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
    await moves(here, uid, 'complete');
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
    await moves(here, uid, 'pending');
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

  it('are not sent for a connection that has ended, whoever wants that', async () => {
    const to = await receiver();
    to.answer = (response) => response.writeHead(410).end();
    const { server, browser } = here;
    const app = await App.register(server, {
      name: 'Ledger', company: here.companies[0], scopes: ['makepay:payment-links:write', 'makepay:webhooks:write'],
    });
    const { endpoint_id: id } = await server.operator(
      ['webhook', 'add', '--app', app.id, '--url', `${to.url}/app`, '--event', 'makepay.payment_link.*'],
    );
    const tokens = ok(await app.token(await app.authorize(browser)));
    const api = (path, json) => send(`${server.audience}/makepay/${path}`, {
      method: 'POST', json, headers: { authorization: `Bearer ${tokens.access_token}` },
    });
    ok(await api('payment-links', { payload: order }), 201);
    const log = async () => (await server.operator(['webhook', 'deliveries', '--endpoint', id])).deliveries;
    const last = (count) => until('it has ended', async () => {
      const [newest, ...more] = await log();
      return more.length === count - 1 && newest?.status !== 'waiting' && newest;
    });
    const first = await last(1);
    assert.deepEqual([first.status, first.reason], ['failed', 'gone']);
    // While it stands: the application, the operator and the page each have it sent once more.
    const { endpoints } = await server.operator(['webhook', 'endpoints']);
    const { companyId } = endpoints.find((it) => it.id === id);
    const path = `${server.issuer}/companies/${companyId}/webhooks/${id}/deliveries/${first.id}`;
    const retryForm = ({ answer }) => readForms(answer.text).find(({ action }) => action.endsWith('/retry'));
    ok(await api(`webhook-requests/${first.id}/retry`), 202);
    await last(2);
    await server.operator(['webhook', 'retry', first.id]);
    await last(3);
    const page = await browser.visit(path);
    const form = retryForm(page);
    assert.equal((await browser.submit(page, form)).answer.status, 200);
    await last(4);
    assert.equal(to.seen.length, 4);

    await server.operator(['grant', 'revoke', first.grantId, '--yes']);
    assert.equal((await api(`webhook-requests/${first.id}/retry`)).status, 401);
    const command = await run(SERVER_BIN, ['--data-dir', server.dataDir, 'webhook', 'retry', first.id]);
    assert.equal(command.code, 1);
    assert.match(command.stderr, /has ended.*connection_ended/);
    // The page that was open all the while, and the page as it is now.
    const { answer } = await browser.submit(page, form);
    assert.equal(answer.status, 409);
    assert.match(answer.text, /has ended, so nothing is sent for it any more/);
    const now = await browser.visit(path);
    assert.match(now.answer.text, /has ended, so nothing is sent for it any more/);
    assert.equal(retryForm(now), undefined);
    // The endpoint itself goes on: a test arrives, and nothing else did.
    await server.operator(['webhook', 'test', id]);
    await until('the test', () => to.seen.length === 5);
    assert.equal(to.seen[4].json.type, 'makepay.webhook.test');
    assert.equal((await log()).length, 5);
  });

  it('go nowhere inside our own network', async () => {
    const server = here.server;
    const store = new Store(server, 'wordpress');
    await store.connect(here.browser);
    for (const url of ['https://10.0.0.1/hook', 'https://169.254.169.254/hook', 'https://[::ffff:10.0.0.1]/hook']) {
      const answer = await store.api('PUT', 'webhook-subscriptions/current', { json: { url } });
      assert.deepEqual([answer.status, answer.json.error], [400, 'invalid_callback_url'], url);
    }
  });
});

describe('notifications to receivers that fail', () => {
  // An answer that is late by itself costs an attempt, so there are many, and nothing here counts them.
  const here = world({ settings: settings(50, 2) });

  it('arrive in order, each again until it is taken, whatever the receiver does', async () => {
    const to = await receiver();
    const elsewhere = await receiver();
    const { store, secret, subscription } = await subscribed(here, 'wordpress', to);
    const turns = [
      [(response) => response.writeHead(500).end('no'), (it) => it.responseStatus === 500],
      [() => {}, (it) => it.responseStatus === null && /^answer_timed_out/.test(it.error)],
      [(response) => response.writeHead(307, { location: `${elsewhere.url}/hook` }).end(), (it) => it.responseStatus === 307],
      [
        (response) => response.writeHead(500).end('x'.repeat(1 << 20)),
        (it) => it.responseStatus === 500 && it.responseExcerpt.length === 2049,
      ],
    ];
    [[to.answer]] = turns;
    const uid = await link(store);
    for (const status of STORY) await moves(here, uid, status);
    const first = (await deliveriesTo(here, subscription.id)).at(-1);
    for (const [answer, isIt] of turns) {
      to.answer = answer;
      await until(`the log has what comes of ${answer}`, async () => (await triesOf(here, first)).some(isIt));
    }
    to.answer = (response) => response.end('ok');
    await until('all of them', async () => (
      (await deliveriesTo(here, subscription.id)).every(({ status }) => status === 'delivered')
    ));
    assert.deepEqual(once(to.statuses(uid)), STORY);
    assert.equal(elsewhere.seen.length, 0, 'no redirect is followed');
    const seen = to.seen.filter(({ json }) => json.status === 'quoted');
    assert.ok(seen.length >= turns.length + 1);
    const numbers = seen.map(({ headers }) => Number(headers['x-makepay-attempt']));
    assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b), 'each attempt has the next number');
    assert.equal(new Set(seen.map(({ json }) => json.deliveryId)).size, seen.length, 'and a name of its own');
    assert.equal(new Set(seen.map(({ json }) => json.deliveryGroupId)).size, 1, 'and one that they share');
    for (const delivery of to.seen) assert.ok(verified(delivery, secret));
    const tries = await triesOf(here, first);
    assert.deepEqual(tries.map(({ responseStatus }) => responseStatus === 200), [...tries.slice(1).fill(false), true]);
    assert.ok(!JSON.stringify(tries).includes(secret));
  });

  it('are taken when the status says so, whatever becomes of the body', async () => {
    const to = await receiver();
    const { store, subscription } = await subscribed(here, 'wordpress', to);
    const begun = (response, status) => response.writeHead(status, { 'content-length': 5_000 }).write('half of it');
    const story = {
      quoted: (response) => begun(response, 200),
      awaiting_deposit: (response) => response.writeHead(202, { 'content-length': 5_000 }).flushHeaders(),
      pending: (response) => response.writeHead(200, { 'content-length': 5_000 }).write('half of it', () => response.destroy()),
      complete: (response) => begun(response, 500),
    };
    to.answer = (response, delivery) => story[delivery.json.status](response, delivery);
    const uid = await link(store);
    for (const status of Object.keys(story)) await moves(here, uid, status);
    const deliveries = (await deliveriesTo(here, subscription.id)).reverse();
    assert.equal(deliveries.length, 4);
    await until('a refusal', async () => (await triesOf(here, deliveries[3])).some((it) => it.responseStatus === 500));
    story.complete = (response) => response.end('ok');
    await until('all of them', async () => (
      (await deliveriesTo(here, subscription.id)).every(({ status }) => status === 'delivered')
    ));
    const tries = await Promise.all(deliveries.map((it) => triesOf(here, it)));
    const last = tries.map((all) => all.at(-1));
    assert.deepEqual(last.map(({ responseStatus }) => responseStatus), [200, 202, 200, 200]);
    assert.deepEqual(last.map(({ responseExcerpt }) => responseExcerpt), ['half of it…', '…', 'half of it…', 'ok']);
    for (const it of tries.flatMap((all) => all.slice(0, -1))) {
      assert.ok([500, null].includes(it.responseStatus), 'another status is a refusal, whatever becomes of the body');
    }
  });

  it('come through a receiver at its worst and a server that is killed, each at least once, in order', async () => {
    const [to, elsewhere] = [await receiver(), await receiver()];
    const { store, secret, subscription } = await subscribed(here, 'wordpress', to);
    const uids = await Promise.all(Array.from({ length: 4 }, () => link(store)));
    const worst = [
      (response) => response.writeHead(503).end('not now'),
      () => {},
      (response) => response.writeHead(307, { location: `${elsewhere.url}/hook` }).end(),
      (response) => response.writeHead(500).end('x'.repeat(1 << 20)),
      (response) => response.destroy(),
    ];
    let [turn, kills, killing] = [0, 0, Promise.resolve()];
    to.answer = (response) => {
      // The server dies while this one is on its way: it is here, and nobody will hear that it is.
      if (kills < 2 && to.seen.length === 5 + 12 * kills) {
        kills += 1;
        killing = killing.then(() => here.server.restart());
      } else if (turn < 2 * worst.length && to.seen.length % 2) {
        worst[turn % worst.length](response);
        turn += 1;
      } else {
        response.end('ok');
      }
    };
    // The engine repeats each report until it is answered.
    const reported = (uid, status) => until(`${uid} is ${status}`, () => send(
      `${here.server.address}/operator/v1/payment-links/${uid}/status`,
      { json: { status }, headers: { authorization: `Bearer ${TOKEN}`, 'idempotency-key': `${uid}:${status}` } },
    ).then(ok, ({ code }) => assert.ok(['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(code), code)));
    await Promise.all(uids.map(async (uid) => {
      for (const status of STORY) await reported(uid, status);
    }));
    const deliveries = await until('all of them', async () => {
      await killing;
      const log = await deliveriesTo(here, subscription.id);
      return log.every(({ status }) => status !== 'waiting') && log;
    });
    assert.equal(kills, 2);
    assert.equal(turn, 2 * worst.length, 'the receiver was at its worst in every way');
    assert.deepEqual(deliveries.map(({ status }) => status), Array(uids.length * STORY.length).fill('delivered'));
    for (const uid of uids) assert.deepEqual(once(to.statuses(uid)), STORY, 'none is lost, and none overtakes another');
    for (const delivery of to.seen) assert.ok(verified(delivery, secret));
    assert.equal(elsewhere.seen.length, 0, 'no redirect is followed');
  });
});
