// The Medusa plugin's shape: registration, connection, tokens, lost answers, key changes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Key, random } from './lib/dpop.mjs';
import { ok, refused, refusedInPlace, send } from './lib/http.mjs';
import { world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world({ companies: ['Nordwind Trading', 'Sudwind Trading'] });
const store = (options) => new Store(here.server, 'medusa', options);

async function connected() {
  const shop = store();
  await shop.connect(here.browser, { company: 'Nordwind Trading' });
  return shop;
}

describe('discovery', () => {
  it('names the four endpoints at the issuer itself', async () => {
    const { issuer } = here.server;
    const answer = await send(
      `${issuer}/.well-known/oauth-authorization-server`, { headers: { accept: 'application/json' } },
    );
    const metadata = ok(answer);
    assert.match(answer.headers['content-type'], /^application\/json\b/);
    assert.equal(metadata.issuer, issuer);
    assert.equal(metadata.authorization_response_iss_parameter_supported, true);
    assert.equal(metadata.authorization_endpoint, `${issuer}/oauth/authorize`);
    assert.equal(metadata.token_endpoint, `${issuer}/oauth/token`);
    assert.equal(metadata.jwks_uri, `${issuer}/oauth/jwks.json`);
    assert.equal(metadata.native_installation_endpoint, `${issuer}/oauth/native/installations`);
    for (const grant of [
      'authorization_code', 'refresh_token',
    ]) assert.ok(metadata.grant_types_supported.includes(grant));
    assert.deepEqual(metadata.response_types_supported, ['code']);
    assert.ok(metadata.token_endpoint_auth_methods_supported.includes('none'));
    assert.deepEqual(metadata.code_challenge_methods_supported, ['S256']);
    assert.ok(metadata.dpop_signing_alg_values_supported.includes('ES256'));
  });
});

describe('registration', () => {
  it('answers 201 once, then 200 with the same client', async () => {
    const shop = store();
    const first = await shop.enrol();
    assert.match(first.client_id, /^mco_app_/);
    assert.deepEqual({ ...first, scopes: undefined }, {
      client_id: first.client_id, client_type: 'public', dpop_bound: true, registration_id: shop.registrationId,
      redirect_uri: shop.redirectUri, scopes: undefined, status: 'active',
    });
    const again = await shop.enrol({ known: true });
    assert.ok(!('status' in again));
    // The same key proves enough: nothing is to be replaced.
    assert.equal(ok(await shop.register()).client_id, first.client_id);
  });

  it('names the field that is missing', async () => {
    for (const field of [
      'platform', 'registrationId', 'siteUrl', 'redirectUri', 'dpopJkt', 'pluginVersion', 'medusaVersion',
    ]) {
      refused(await store().register({ [field]: undefined }), 400, `missing_${field}`, field);
    }
  });

  it('refuses the same request sent again', async () => {
    const shop = store();
    const proof = shop.key.proof('POST', shop.at('/oauth/native/installations'));
    ok(await shop.register({ proof }), 201);
    refused(await shop.register({ proof }), 400, 'invalid_dpop_proof');
    ok(await shop.register());
  });

  it('refuses a copy of the store at another site', async () => {
    const shop = store();
    await shop.enrol();
    const copy = store({ site: `${shop.site.replace('shop', 'staging')}` });
    Object.assign(copy, { registrationId: shop.registrationId, key: shop.key });
    refused(await copy.register(), 409, 'registration_identity_mismatch');
    refused(await copy.register({ previous: shop.key }), 409, 'registration_identity_mismatch');
    await shop.connect(here.browser);
    await shop.stillWorks();
  });

  it('wants the previous key for another key, and only stages that one', async () => {
    const shop = await connected();
    const [next, stranger] = [new Key(), new Key()];
    refused(await shop.register({ key: next }), 401, 'previous_dpop_required');
    refused(await shop.register({ key: next, previous: stranger }), 401, 'invalid_previous_dpop_key');
    refused(await shop.register({ key: next, previous: next }), 401, 'invalid_previous_dpop_key');
    refusedInPlace(await send(shop.request({ key: next }).url));
    const staged = ok(await shop.register({ key: next, previous: shop.key }));
    assert.equal(staged.client_id, shop.clientId);
    await shop.stillWorks();
    refused(await shop.refresh(undefined, { key: next }), 400, 'invalid_dpop_proof');
    await shop.stillWorks();
  });
});

describe('a staged key', () => {
  async function staged() {
    const shop = await connected();
    const next = new Key();
    ok(await shop.register({ key: next, previous: shop.key }));
    return { shop, next };
  }

  it('changes nothing when the merchant denies or walks away', async () => {
    const { shop, next } = await staged();
    const { url, parameters } = shop.request({ key: next });
    await here.browser.reachConsent(url);
    await shop.stillWorks();
    const denied = await here.browser.deny(shop.request({ key: next, state: parameters.state }).url);
    assert.equal(denied.error, 'access_denied');
    assert.equal(denied.state, parameters.state);
    assert.equal(denied.iss, here.server.issuer);
    assert.equal(denied.code, undefined);
    await shop.stillWorks();
  });

  it('takes over at approval, and everything older dies at once', async () => {
    const { shop, next } = await staged();
    const old = { ...shop.tokens };
    const grant = await shop.authorize(here.browser, { key: next, company: 'Nordwind Trading' });
    assert.equal((await shop.api('GET', 'payment-links', { token: old.access_token })).status, 401);
    refused(await shop.refresh(old.refresh_token), 400, 'invalid_grant');
    const { grant_id: grantId } = shop.claims;
    await shop.accept(await shop.redeem(grant, { key: next }), { key: next });
    assert.equal(shop.claims.grant_id, grantId);
    const former = shop.key;
    shop.key = next;
    await shop.stillWorks();
    refused(await shop.register({ key: new Key(), previous: former }), 401, 'invalid_previous_dpop_key');
  });
});

describe('authorization', () => {
  const twist = {
    'a callback with a slash more': (shop) => ({ redirect_uri: `${shop.redirectUri}/` }),
    'another origin': () => ({ redirect_uri: 'https://evil.example/makepay/oauth/callback' }),
    'a key nobody registered': () => ({ dpop_jkt: new Key().jkt }),
    'no key': () => ({ dpop_jkt: undefined }),
    'another resource': () => ({ resource: 'https://evil.example/api' }),
    'no resource': () => ({ resource: undefined }),
    'fewer scopes': () => ({ scope: 'company:read' }),
    'more scopes': (shop) => ({ scope: `${shop.rules.scopes.join(' ')} makepay:settings:read` }),
    'plain PKCE': () => ({ code_challenge_method: 'plain' }),
    'no PKCE': () => ({ code_challenge: undefined, code_challenge_method: undefined }),
    'another response type': () => ({ response_type: 'token' }),
    'an unknown client': () => ({ client_id: 'mco_app_unknown' }),
  };

  it('shows refusals in place', async () => {
    const shop = store();
    await shop.enrol();
    for (const [name, change] of Object.entries(twist)) {
      const answer = await send(shop.request(change(shop)).url);
      refusedInPlace(answer, name);
      assert.match(answer.text, /invalid_authorization_request/, name);
    }
    await shop.connect(here.browser);
  });

  it('makes a new grant in another company and keeps the grant in the same', async () => {
    const shop = await connected();
    const first = shop.claims;
    await shop.connect(here.browser, { company: 'Nordwind Trading' });
    shop.claims = undefined;
    await shop.connect(here.browser, { company: 'Sudwind Trading' });
    assert.notEqual(shop.claims.grant_id, first.grant_id);
    assert.notEqual(shop.claims.company_id, first.company_id);
    assert.equal(shop.claims.company_name ?? 'Sudwind Trading', 'Sudwind Trading');
  });
});

describe('the code exchange', () => {
  it('gives the lost answer again, byte for byte', async () => {
    const shop = store();
    await shop.enrol();
    const grant = await shop.authorize(here.browser);
    const idempotency = shop.tokenKey();
    const first = await shop.redeem(grant, { idempotency });
    await shop.accept(first);
    const again = await shop.redeem(grant, { idempotency });
    assert.equal(again.status, 200);
    assert.equal(again.text, first.text);
    assert.equal(again.headers['idempotent-replayed'], 'true');
    refused(await shop.redeem(grant, { idempotency, key: new Key() }), 400, 'invalid_dpop_proof');
    await shop.stillWorks();
    const late = await shop.redeem(grant, { idempotency });
    refused(late, 400, 'invalid_grant');
    assert.equal(late.headers['oauth-token-recovery'], 'expired');
    await shop.stillWorks();
  });

  it('takes another key for a used code as a theft', async () => {
    const shop = store();
    await shop.enrol();
    const grant = await shop.authorize(here.browser);
    await shop.accept(await shop.redeem(grant));
    refused(await shop.redeem(grant), 400, 'invalid_grant');
    refused(await shop.refresh(), 400, 'invalid_grant');
    assert.equal((await shop.api('GET', 'payment-links')).status, 401);
  });

  it('survives every wrong attempt', async () => {
    const shop = store();
    await shop.enrol();
    const grant = await shop.authorize(here.browser);
    refused(await shop.redeem(grant, { key: new Key() }), 400, 'invalid_dpop_proof', 'another key');
    refused(await shop.redeem(grant, { proof: null }), 400, 'invalid_dpop_proof', 'no proof');
    refused(await shop.redeem({ ...grant, code_verifier: random(64) }), 400, 'invalid_grant', 'another verifier');
    refused(
      await shop.redeem({ ...grant, redirect_uri: `${shop.redirectUri}/` }), 400, 'invalid_grant', 'another callback',
    );
    refused(
      await shop.redeem({ ...grant, resource: 'https://evil.example/api' }), 400, 'invalid_target', 'another resource',
    );
    refused(
      await shop.redeem({ ...grant, resource: undefined }), 400, ['invalid_target', 'invalid_request'], 'no resource',
    );
    for (const idempotency of [null, 'short', `medusa-token-${random(16)}`, random(), `wordpress-token-${random()}`]) {
      refused(
        await shop.redeem(grant, { idempotency }), 400, ['invalid_request', 'invalid_idempotency_key'],
        `key ${idempotency}`,
      );
    }
    await shop.accept(await shop.redeem(grant));
  });
});

describe('refresh', () => {
  it('gives the lost answer again until its successor was used', async () => {
    const shop = await connected();
    const used = shop.tokens.refresh_token;
    const idempotency = shop.tokenKey();
    const first = await shop.refresh(used, { idempotency });
    await shop.accept(first);
    for (let time = 0; time < 3; time += 1) {
      const again = await shop.refresh(used, { idempotency });
      assert.equal(again.text, first.text);
      assert.equal(again.headers['idempotent-replayed'], 'true');
    }
    ok(await shop.api('GET', 'payment-links'));
    refused(await shop.refresh(used, { idempotency, key: new Key() }), 400, 'invalid_dpop_proof');
    refused(await shop.refresh(used), 400, 'invalid_grant', 'another idempotency key');
    refused(
      await shop.refresh(used, { idempotency: null }), 400, ['invalid_request', 'invalid_idempotency_key'],
      'no idempotency key',
    );
    await shop.stillWorks();
  });

  it('takes a rotated token after that as a theft', async () => {
    const shop = await connected();
    const used = shop.tokens.refresh_token;
    const idempotency = shop.tokenKey();
    await shop.accept(await shop.refresh(used, { idempotency }));
    await shop.accept(await shop.refresh());
    const late = await shop.refresh(used, { idempotency });
    refused(late, 400, 'invalid_grant');
    assert.equal(late.headers['oauth-token-recovery'], 'expired');
    refused(await shop.refresh(), 400, 'invalid_grant');
    assert.equal((await shop.api('GET', 'payment-links')).status, 401);
    // The merchant approves again and everything is well.
    await shop.connect(here.browser, { company: 'Nordwind Trading' });
    await shop.stillWorks();
  });

  it('leaves the family alone when a stranger shows the token', async () => {
    const [shop, thief] = [await connected(), await connected()];
    refused(await shop.refresh(undefined, { key: thief.key }), 400, 'invalid_dpop_proof');
    refused(await thief.refresh(shop.tokens.refresh_token), 400, ['invalid_grant', 'invalid_dpop_proof']);
    const used = shop.tokens.refresh_token;
    await shop.accept(await shop.refresh());
    await shop.accept(await shop.refresh());
    refused(await shop.refresh(used, { key: thief.key }), 400, 'invalid_dpop_proof');
    await shop.stillWorks();
    await thief.stillWorks();
  });

  it('keeps a code exchange and its tokens over kill -9', async () => {
    const shop = await connected();
    const used = shop.tokens.refresh_token;
    const idempotency = shop.tokenKey();
    const first = await shop.refresh(used, { idempotency });
    await here.server.restart();
    const again = await shop.refresh(used, { idempotency });
    assert.equal(again.text, first.text);
    await shop.accept(again, { replayed: true });
    await shop.stillWorks();
  });
});
