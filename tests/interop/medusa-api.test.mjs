// The Medusa plugin at the partner API, and how it disconnects: payment links, its webhook subscription, the reset.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Key, hex40, sha256 } from './lib/dpop.mjs';
import { challenged, ok, refused, refusedInPlace, send } from './lib/http.mjs';
import { world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world({ companies: ['Nordwind Trading', 'Sudwind Trading'] });
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

async function connected() {
  const shop = new Store(here.server, 'medusa');
  await shop.connect(here.browser, { company: 'Nordwind Trading' });
  return shop;
}

const subscription = (shop, changes) => ({
  active: true, description: 'Medusa', events: ['makepay.payment.*'], metadata: { providerId: 'makepay' },
  rotateSecret: true, url: `${shop.site}/hooks/makepay/makepay_makepay`, ...changes,
});

const subscribe = (shop, idempotency = `medusa-webhook-${hex40()}`, changes = {}) =>
  shop.api('PUT', 'webhook-subscriptions/current', { json: subscription(shop, changes), idempotency });

const link = (orderId, amount = '49.90') => ({
  status: 'active', sendPaymentRequestEmail: false,
  payload: {
    amount, currency: 'USDT', fiatCurrency: 'EUR', orderId, customerEmail: 'buyer@example.org',
    returnUrl: 'https://shop.example/r', successUrl: 'https://shop.example/s', failureUrl: 'https://shop.example/f',
    expirationTime: '24h',
    metadata: {
      medusaSessionId: `sess_${orderId}`, medusaOrderId: orderId, medusaOrderDisplayId: '7',
      medusaProviderId: 'makepay',
    },
  },
});

const create = (shop, body, idempotency = `medusa-makepay-create-${sha256(body.payload.orderId)}`) =>
  shop.api('POST', 'payment-links', { json: body, idempotency });

describe('payment links', () => {
  it('wait for a webhook subscription', async () => {
    const shop = await connected();
    refused(await create(shop, link('early')), 409, 'webhook_subscription_inactive');
    assert.ok((await subscribe(shop)).status < 300);
    ok(await create(shop, link('early')), 201);
    ok(await shop.api('DELETE', 'webhook-subscriptions/current'));
    refused(await create(shop, link('late')), 409, 'webhook_subscription_inactive');
  });

  it('are created once per key', async () => {
    const shop = await connected();
    await subscribe(shop);
    const first = ok(await create(shop, link('order-1')), 201);
    assert.equal(first.ok, true);
    assert.equal(first.companyId, shop.claims.company_id);
    assert.equal(first.paymentRequestEmailSent, false);
    assert.equal(first.paymentRequestEmailError, null);
    const made = first.paymentLink;
    for (const name of ['id', 'uid', 'publicUrl', 'status']) assert.ok(
      typeof made[name] === 'string' && made[name] !== '', name,
    );
    for (const name of ['companyId', 'grantId', 'installationId']) assert.ok(!(name in made), name);
    assert.equal(made.status, 'active');
    assert.equal(made.fiatCurrency, 'EUR');
    assert.equal(made.metadata.medusaOrderId, 'order-1');
    assert.ok(new URL(made.publicUrl).href.includes(made.uid));

    const again = ok(await create(shop, link('order-1')), 200);
    assert.equal(again.paymentLink.uid, made.uid);
    assert.equal((await create(shop, link('order-1', '50.00'))).status, 409);
    const { paymentLinks } = ok(await shop.api('GET', 'payment-links'));
    assert.deepEqual(paymentLinks.map(({ uid }) => uid), [made.uid]);
  });

  it('refuse a malformed key and mixed credentials', async () => {
    const shop = await connected();
    await subscribe(shop);
    for (const key of ['short', 'x'.repeat(201), 'with space here', 'back\\slash-key']) {
      refused(await create(shop, link('odd'), key), 400, 'invalid_idempotency_key', key);
    }
    for (const header of ['x-makecrypto-key-id', 'x-makepay-key-id', 'x-api-key']) {
      const answer = await shop.api('GET', 'payment-links', { headers: { [header]: 'mk_makepay_x' } });
      assert.equal(answer.status, 400, header);
    }
    assert.deepEqual(ok(await shop.api('GET', 'payment-links')).paymentLinks, []);
  });

  it('are read and archived by their own grant alone', async () => {
    const [shop, other] = [await connected(), await connected()];
    await subscribe(shop);
    const { uid } = ok(await create(shop, link('order-2')), 201).paymentLink;
    assert.equal(ok(await shop.api('GET', `payment-links/${uid}`)).paymentLink.uid, uid);
    refused(await other.api('GET', `payment-links/${uid}`), 404, 'payment_link_not_found');
    refused(
      await other.api('PATCH', `payment-links/${uid}`, { json: { status: 'archived' } }), 404, 'payment_link_not_found',
    );
    refused(await shop.api('GET', 'payment-links/unknown'), 404, 'payment_link_not_found');
    assert.deepEqual(ok(await other.api('GET', 'payment-links')).paymentLinks, []);

    const archived = ok(await shop.api('PATCH', `payment-links/${uid}`, { json: { status: 'archived' } }));
    assert.equal(archived.companyId, shop.claims.company_id);
    const facts = { ...archived, ...archived.paymentLink };
    assert.equal(facts.status, 'archived');
    assert.equal(facts.archiveEligibility, 'no_session');
    assert.equal(facts.archivedWithNoSession, true);
    assert.equal(facts.latestSession, null);
    assert.equal(facts.sessionCreationClaimed, false);
    const twice = await shop.api('PATCH', `payment-links/${uid}`, { json: { status: 'archived' } });
    assert.equal(ok(twice, 409).errorCode, 'payment_link_already_archived');
  });

  it('may be limited in a list', async () => {
    const shop = await connected();
    await subscribe(shop);
    for (const order of ['a', 'b', 'c']) ok(await create(shop, link(order)), 201);
    assert.equal(ok(await shop.api('GET', 'payment-links?limit=2')).paymentLinks.length, 2);
    assert.equal(ok(await shop.api('GET', 'payment-links')).paymentLinks.length, 3);
  });
});

describe('the webhook subscription', () => {
  it('is put, read without its secret, disabled, and put again under its id', async () => {
    const shop = await connected();
    assert.equal(ok(await shop.api('GET', 'webhook-subscriptions/current')).subscription, null);
    const idempotency = `medusa-webhook-${hex40()}`;
    const first = await subscribe(shop, idempotency);
    assert.ok([200, 201].includes(first.status), first.text);
    const body = first.json;
    assert.equal(body.companyId, shop.claims.company_id);
    assert.equal(body.ok, true);
    assert.equal(body.created, true);
    assert.ok(body.signingSecret.length >= 32);
    assert.equal(body.subscription.secretLast4, body.signingSecret.slice(-4));
    assert.equal(body.subscription.url, subscription(shop).url);
    assert.deepEqual(body.subscription.events, ['makepay.payment.*']);
    assert.equal(body.subscription.active, true);

    const again = await subscribe(shop, idempotency);
    assert.equal(again.status, 200);
    assert.equal(again.json.signingSecret, body.signingSecret);
    const read = await shop.api('GET', 'webhook-subscriptions/current');
    assert.equal(ok(read).subscription.id, body.subscription.id);
    assert.ok(!read.text.includes(body.signingSecret));

    const ended = ok(await shop.api(
      'DELETE', 'webhook-subscriptions/current', { idempotency: `medusa-webhook-disconnect-${hex40()}` },
    ));
    assert.equal(ended.historicalDeliveryPreserved, true);
    assert.equal(ended.signingSecretChanged, false);
    assert.equal(ended.subscription.id, body.subscription.id);
    assert.equal(ended.subscription.status, 'disabled');

    const renewed = await subscribe(shop);
    assert.equal(renewed.json.subscription.id, body.subscription.id);
    assert.equal(renewed.json.created, false);
    assert.notEqual(renewed.json.signingSecret, body.signingSecret);
  });

  it('does not answer its receipt to another key holder', async () => {
    const shop = await connected();
    const idempotency = `medusa-webhook-${hex40()}`;
    const first = await subscribe(shop, idempotency);
    const next = new Key();
    ok(await shop.register({ key: next, previous: shop.key }));
    await shop.accept(
      await shop.redeem(await shop.authorize(here.browser, { key: next, company: 'Nordwind Trading' }), { key: next }),
      { key: next },
    );
    shop.key = next;
    refused(await subscribe(shop, idempotency), 409, 'idempotency_key_dpop_mismatch');
    assert.equal(
      ok(await shop.api('GET', 'webhook-subscriptions/current')).subscription.id, first.json.subscription.id,
    );
  });
});

describe('the reset', () => {
  it('ends everything at once and can be confirmed again', async () => {
    const shop = await connected();
    const { subscription: { id } } = (await subscribe(shop)).json;
    ok(await shop.api('DELETE', 'webhook-subscriptions/current'));
    const idempotency = `medusa-native-reset-${hex40()}`;
    const first = await shop.reset({ idempotency });
    const { resetMutationId, ...facts } = ok(first);
    assert.match(resetMutationId, UUID);
    assert.deepEqual(facts, {
      client_id: shop.clientId, reset: true, historicalDeliveryPreserved: true, signingSecretChanged: false,
      preservedWebhookSubscriptionIds: [id],
    });
    const again = await shop.reset({ idempotency });
    assert.equal(again.status, 200);
    assert.equal(again.text, first.text);
    assert.equal(again.headers['idempotent-replayed'], 'true');

    assert.equal((await shop.api('GET', 'payment-links')).status, 401);
    refused(await shop.refresh(), 400, ['invalid_grant', 'invalid_dpop_proof']);
    refusedInPlace(await send(shop.request().url));
    challenged(await shop.reset(), ['invalid_token', 'invalid_dpop_proof'], 'a new idempotency key with a dead token');
    refused(await shop.reset({ idempotency, key: new Key() }), 401, 'invalid_reset_receipt_proof');
  });

  it('lets the store come back with any key, as the same client under a new grant', async () => {
    const shop = await connected();
    const { grant_id: grantId } = shop.claims;
    const lost = shop.tokens.access_token;
    const idempotency = `medusa-native-reset-${hex40()}`;
    const receipt = await shop.reset({ idempotency });
    const former = shop.key;
    shop.key = new Key();
    const known = ok(await shop.register());
    assert.equal(known.client_id, shop.clientId);
    shop.claims = undefined;
    await shop.connect(here.browser, { company: 'Nordwind Trading' });
    assert.notEqual(shop.claims.grant_id, grantId);
    // The old receipt is still good, and leaves the new grant alone.
    const again = await shop.reset({ idempotency, token: lost, key: former });
    assert.equal(again.text, receipt.text);
    await shop.stillWorks();
  });

  it('is another one under another key', async () => {
    const shop = await connected();
    const idempotency = `medusa-native-reset-${hex40()}`;
    ok(await shop.reset({ idempotency }));
    shop.claims = undefined;
    ok(await shop.register());
    await shop.connect(here.browser, { company: 'Nordwind Trading' });
    refused(await shop.reset({ idempotency }), 401, 'invalid_reset_receipt_proof');
    await shop.stillWorks();
    ok(await shop.reset());
  });

  it('refuses what is not its own', async () => {
    const [shop, other] = [await connected(), await connected()];
    for (const idempotency of ['short', 'x'.repeat(201), 'with space', 'dots.are.not.allowed']) {
      refused(await shop.reset({ idempotency }), 400, 'invalid_idempotency_key', idempotency);
    }
    refused(await shop.reset({ clientId: other.clientId }), 404, 'native_installation_not_found');
    refused(await shop.reset({ clientId: 'mco_app_unknown' }), 404, 'native_installation_not_found');
    assert.equal((await shop.reset({ token: other.tokens.access_token })).status, 401);
    assert.equal((await shop.reset({ key: other.key })).status, 401);
    assert.equal((await shop.reset({ headers: { authorization: undefined } })).status, 401);
    assert.equal((await shop.reset({ headers: { dpop: undefined } })).status, 401);
    await shop.stillWorks();
  });
});
