// The BTCPay plugin's shapes: B1 proves its key at registration, B0 did not. No registrationId, no resource, no
// idempotency keys, no discovery, and one key for ever.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Key } from './lib/dpop.mjs';
import { ok, refused, refusedInPlace, send } from './lib/http.mjs';
import { world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world();
const store = (options) => new Store(here.server, 'btcpay-server', options);

async function connected() {
  const shop = store();
  await shop.connect(here.browser);
  return shop;
}

const invoice = (shop) => ({
  source: 'btcpay-server', status: 'active',
  payload: {
    amount: '0.0015', currency: 'BTC', asset: 'BTC.BTC', settlementCurrency: 'USDT', label: 'Order 7',
    description: 'Order 7',
    expirationTime: 'never', webhookUrl: `${shop.site}/plugins/makepay/webhook/store-1`,
    returnRedirectUrl: `${shop.site}/i/1`,
    successRedirectUrl: `${shop.site}/i/1`, failureRedirectUrl: `${shop.site}/i/1`, metadata: { orderId: '7' },
    receiptEmail: 'buyer@example.org',
  },
  settlement: {
    currency: 'USDT',
    priorities: [{ chain: 'ETH', asset: 'USDT', address: '0x0000000000000000000000000000000000000001' }],
  },
});

describe('registration', () => {
  it('knows the store by its address', async () => {
    const shop = store();
    const first = await shop.enrol();
    assert.equal(first.status, 'active');
    assert.equal(first.client_type, 'public');
    assert.equal(first.dpop_bound, true);
    const again = ok(await shop.register());
    assert.equal(again.client_id, first.client_id);
    assert.ok(!('status' in again));
    const version = ok(await shop.register({ btcpayServerVersion: '2.1.0' }));
    assert.equal(version.client_id, first.client_id);
    const neighbour = ok(
      await shop.register({ redirectUri: `${shop.site}/plugins/store-2/makepay/oauth/callback` }), 201,
    );
    assert.notEqual(neighbour.client_id, first.client_id);
  });

  it('refuses B0, which sends no proof', async () => {
    refused(await store().register({ proof: null }), [400, 401], 'invalid_dpop_proof');
  });

  it('wants the previous key for another key', async () => {
    const shop = await connected();
    const next = new Key();
    refused(await shop.register({ key: next }), 401, 'previous_dpop_required');
    refused(await shop.register({ key: next, previous: new Key() }), 401, 'invalid_previous_dpop_key');
    ok(await shop.register({ key: next, previous: shop.key }));
    await shop.stillWorks();
  });

  it('takes the same key after a local disconnect, with or without DPoP-Previous', async () => {
    const shop = await connected();
    ok(await shop.register());
    ok(await shop.register({ previous: shop.key }));
    await shop.stillWorks();
    await shop.connect(here.browser);
    await shop.stillWorks();
  });

  it('accepts a path in the site and callbacks of this form alone', async () => {
    const site = `https://pay-${process.pid}.example/btcpay`;
    ok(await store({ site }).register(), 201);
    for (const redirectUri of [
      `${site}/plugins/a/b/makepay/oauth/callback`, `${site}/plugins//makepay/oauth/callback`,
      `${site}/plugins/../makepay/oauth/callback`, `${site}/plugins/s/makepay/oauth/callback/`,
      `${site}/plugins/s/makepay/oauth/callback?x=1`, `${site}/plugins/s%2f/makepay/oauth/callback`,
      'https://evil.example/plugins/s/makepay/oauth/callback', `${site}x/plugins/s/makepay/oauth/callback`,
    ]) refused(await store({ site }).register({ redirectUri }), 400, 'invalid_native_installation', redirectUri);
  });
});

describe('connection', () => {
  it('needs neither resource nor idempotency key and gets the audience all the same', async () => {
    const shop = await connected();
    assert.ok([shop.claims.aud].flat().includes(shop.audience));
    assert.equal(shop.claims.installation_id, shop.clientId);
    await shop.stillWorks();
  });

  it('may name the resource, but no other', async () => {
    const shop = store();
    await shop.enrol();
    refusedInPlace(await send(shop.request({ resource: 'https://evil.example/api' }).url));
    const { url, verifier } = shop.request({ resource: shop.audience });
    const { code } = await here.browser.approve(url);
    const grant = { code, code_verifier: verifier, redirect_uri: shop.redirectUri };
    refused(await shop.redeem({ ...grant, resource: 'https://evil.example/api' }), 400, 'invalid_target');
    await shop.accept(await shop.redeem(grant));
  });

  it('refuses Medusa\'s scopes', async () => {
    const shop = store();
    await shop.enrol();
    refusedInPlace(await send(shop.request({ scope: 'company:read makepay:webhooks:read' }).url));
  });

  it('ends what a code gave when the code is used again', async () => {
    const shop = store();
    await shop.enrol();
    const grant = await shop.authorize(here.browser);
    await shop.accept(await shop.redeem(grant));
    refused(await shop.redeem(grant), 400, 'invalid_grant');
    refused(await shop.refresh(), 400, 'invalid_grant');
  });
});

describe('refresh', () => {
  it('answers the same successor to a retry while that is unused', async () => {
    const shop = await connected();
    const used = shop.tokens.refresh_token;
    const first = ok(await shop.refresh(used));
    const retry = ok(await shop.refresh(used));
    assert.equal(retry.refresh_token, first.refresh_token);
    assert.equal(retry.access_token, first.access_token);
    refused(await shop.refresh(used, { key: new Key() }), 400, 'invalid_dpop_proof');
    shop.tokens = first;
    ok(await shop.api('GET', 'payment-links'));
    assert.equal(ok(await shop.refresh(used)).refresh_token, first.refresh_token);
    await shop.stillWorks();
  });

  it('ends the family when the predecessor comes after the successor was used', async () => {
    const shop = await connected();
    const used = shop.tokens.refresh_token;
    await shop.accept(await shop.refresh(used));
    await shop.accept(await shop.refresh());
    refused(await shop.refresh(used), 400, 'invalid_grant');
    refused(await shop.refresh(), 400, 'invalid_grant');
    assert.equal((await shop.api('GET', 'payment-links')).status, 401);
  });
});

describe('the partner API', () => {
  it('gives a webhook secret at every connect', async () => {
    const shop = await connected();
    const { webhookSecret } = ok(await shop.api('POST', 'webhook-secret', { json: {} }));
    assert.ok(webhookSecret.secret.length >= 32);
    assert.equal(webhookSecret.last4, webhookSecret.secret.slice(-4));
    // One secret an installation: a second store of the company keeps its own.
    const other = await connected();
    const second = ok(await other.api('POST', 'webhook-secret', { json: {} })).webhookSecret;
    assert.notEqual(second.secret, webhookSecret.secret);
  });

  it('answers branding', async () => {
    const shop = await connected();
    const branding = ok(await shop.api('GET', 'branding'));
    assert.ok(Array.isArray(branding.makePaySettings.allowedPaymentMethods));
    assert.ok(branding.company.routeKey ?? branding.company.slug);
    ok(await shop.api('GET', 'settings'));
  });

  it('creates links without a subscription and without a key', async () => {
    const shop = await connected();
    const answer = ok(await shop.api('POST', 'payment-links', { json: invoice(shop) }), 201);
    assert.ok(answer.paymentLink.uid);
    assert.ok(answer.paymentLink.publicUrl);
    const next = ok(await shop.api('POST', 'payment-links', { json: invoice(shop) }), 201);
    assert.notEqual(next.paymentLink.uid, answer.paymentLink.uid);
  });

  it('keeps Medusa and BTCPay to their scopes', async () => {
    const shop = await connected();
    const hooks = await shop.api('GET', 'webhook-subscriptions/current');
    refused(hooks, 403, 'insufficient_scope');
    assert.match(hooks.headers['www-authenticate'], /DPoP .*error="insufficient_scope"/);
    const medusa = new Store(here.server, 'medusa');
    await medusa.connect(here.browser);
    refused(await medusa.api('GET', 'branding'), 403, 'insufficient_scope');
    refused(await medusa.api('POST', 'webhook-secret', { json: {} }), 403, 'insufficient_scope');
  });
});
