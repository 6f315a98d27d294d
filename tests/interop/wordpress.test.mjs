// The WordPress profile and what our server offers beyond the contract: pushed requests by a staged key, a store that
// moved, a key changed without consent, a family recovered by the key.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Key, random } from './lib/dpop.mjs';
import { challenged, ok, refused, refusedInPlace, send } from './lib/http.mjs';
import { world } from './lib/kit.mjs';
import { PLATFORMS, Store } from './lib/native.mjs';

const here = world();
const RECOVERY = 'urn:counterfoil:grant-type:installation-key';

const metadata = async () => ok(await send(`${here.server.issuer}/.well-known/oauth-authorization-server`));

async function connected(options) {
  const shop = new Store(here.server, 'wordpress', options);
  await shop.connect(here.browser);
  return shop;
}

/** Pushes a store's request, signed by `key`, and answers the URL for the browser. */
async function push(shop, key = shop.key) {
  const { parameters, verifier } = shop.request({ key });
  const par = shop.at('/oauth/par');
  const { request_uri: uri } = ok(
    await send(par, { form: parameters, headers: { dpop: key.proof('POST', par) } }), 201,
  );
  return {
    url: `${shop.at('/oauth/authorize')}?${new URLSearchParams({ client_id: shop.clientId, request_uri: uri })}`,
    verifier,
  };
}

describe('a WordPress store', () => {
  it('may lie below a path and needs not tell its version', async () => {
    const shop = new Store(here.server, 'wordpress', { site: `https://blog-${process.pid}.example/shop/two` });
    ok(await shop.register({ wordpressVersion: undefined }), 201);
    shop.clientId = ok(await shop.register({ previous: shop.key })).client_id;
    await shop.connect(here.browser);
    await shop.stillWorks();
    ok(await shop.api('POST', 'payment-links', { json: { payload: { amount: '5.00', fiatCurrency: 'EUR' } } }), 201);
  });

  it('connects by a pushed request, with the current and with the staged key', async () => {
    const shop = await connected();
    const next = new Key();
    ok(await shop.register({ key: next, previous: shop.key }));
    for (const key of [shop.key, next]) {
      const { url, verifier } = await push(shop, key);
      const { code } = await here.browser.approve(url);
      const grant = { code, code_verifier: verifier, redirect_uri: shop.redirectUri };
      await shop.accept(await shop.redeem(grant, { key }), { key });
      shop.key = key;
    }
    await shop.stillWorks();
  });

  it('keeps its old family until the new code is redeemed', async () => {
    const shop = await connected();
    const { verifier, url } = await push(shop);
    const { code } = await here.browser.approve(url);
    const old = { ...shop.tokens };
    ok(await shop.api('GET', 'payment-links'));
    await shop.accept(await shop.redeem({ code, code_verifier: verifier, redirect_uri: shop.redirectUri }));
    challenged(await shop.api('GET', 'payment-links', { token: old.access_token }), 'invalid_token');
    refused(await shop.refresh(old.refresh_token), 400, 'invalid_grant');
    await shop.stillWorks();
  });
});

describe('a store that moved', () => {
  it('proves its key, and moves when the merchant approves', async () => {
    const shop = await connected();
    const site = shop.site.replace('shop', 'moved');
    const at = { siteUrl: site, redirectUri: PLATFORMS.wordpress.callback(site) };
    refused(await shop.register(at), 409, 'registration_identity_mismatch');
    refused(await shop.register({ ...at, previous: new Key() }), [401, 409], [
      'registration_identity_mismatch', 'invalid_previous_dpop_key',
    ]);
    const moved = ok(await shop.register({ ...at, previous: shop.key }));
    assert.equal(moved.client_id, shop.clientId);
    await shop.stillWorks();
    const former = shop.redirectUri;
    Object.assign(shop, { site, redirectUri: at.redirectUri });
    await shop.connect(here.browser);
    await shop.stillWorks();
    refusedInPlace(await send(shop.request({ redirect_uri: former }).url));
  });

  it('stays where it is on other platforms', async () => {
    const shop = new Store(here.server, 'medusa');
    await shop.connect(here.browser);
    const site = shop.site.replace('shop', 'moved');
    refused(
      await shop.register({ siteUrl: site, redirectUri: PLATFORMS.medusa.callback(site), previous: shop.key }), 409,
      'registration_identity_mismatch',
    );
    await shop.stillWorks();
  });
});

describe('a key changed without consent', () => {
  const path = '/oauth/native/installations/key';
  const rotate = (shop, next, {
    successor = next.jkt, previous = shop.key, token = shop.tokens.refresh_token, idempotency = shop.tokenKey(),
    signer = next,
  } = {}) => {
    const url = shop.at(path);
    return send(url, {
      json: { client_id: shop.clientId, refresh_token: token },
      headers: {
        dpop: signer.proof('POST', url),
        'dpop-previous': previous?.proof('POST', url, { claims: { next_jkt: successor } }),
        'idempotency-key': idempotency,
      },
    });
  };

  it('binds the family to the new key, where that is offered', async () => {
    const shop = await connected();
    const next = new Key();
    const { native_installation_key_endpoint: offered } = await metadata();
    if (offered === undefined) return assert.equal((await rotate(shop, next)).status, 404);
    assert.equal(offered, shop.at(path));
    for (const [name, options] of Object.entries({
      'no previous key': { previous: null }, 'another previous key': { previous: new Key() },
      'another successor': { successor: new Key().jkt }, 'a made-up token': { token: `mco_rt_${random(40)}` },
    })) {
      const answer = await rotate(shop, next, options);
      assert.ok([400, 401].includes(answer.status), `${name}: ${answer.status} ${answer.text}`);
    }
    await shop.stillWorks();
    const idempotency = shop.tokenKey();
    const token = shop.tokens.refresh_token;
    const first = await rotate(shop, next, { idempotency, token });
    const again = await rotate(shop, next, { idempotency, token });
    assert.equal(again.text, first.text);
    const former = shop.key;
    await shop.accept(first, { key: next });
    shop.key = next;
    await shop.stillWorks();
    refused(await shop.refresh(undefined, { key: former }), 400, 'invalid_dpop_proof');
    return ok(await shop.register());
  });
});

describe('a family that was lost', () => {
  const recover = async (shop, { key = shop.key, idempotency = shop.tokenKey(), nonce } = {}) => {
    const url = shop.at('/oauth/token');
    return shop.token({ grant_type: RECOVERY }, { idempotency, proof: key.proof('POST', url, { nonce }) });
  };

  const withNonce = async (shop, options) => {
    const first = await recover(shop, options);
    refused(first, 400, 'use_dpop_nonce');
    return recover(shop, { ...options, nonce: first.headers['dpop-nonce'] });
  };

  it('comes back by proof of the key while the grant stands', async () => {
    assert.ok((await metadata()).grant_types_supported.includes(RECOVERY));
    const shop = await connected();
    const lost = shop.tokens.refresh_token;
    refused(await withNonce(shop, { key: new Key() }), 400, 'invalid_dpop_proof');
    await shop.stillWorks();
    const { grant_id: grantId } = shop.claims;
    await shop.accept(await withNonce(shop));
    assert.equal(shop.claims.grant_id, grantId);
    await shop.stillWorks();
    refused(await shop.refresh(lost), 400, ['invalid_grant']);
  });

  it('does not come back when no code was ever redeemed, nor after revocation or reset', async () => {
    const never = new Store(here.server, 'wordpress');
    await never.enrol();
    refused(await withNonce(never), 400, 'invalid_grant');
    await never.authorize(here.browser);
    refused(await withNonce(never), 400, 'invalid_grant');

    const revoked = await connected();
    await send(revoked.at('/oauth/revoke'), { form: {
      token: revoked.tokens.refresh_token, client_id: revoked.clientId,
    } });
    refused(await withNonce(revoked), 400, 'invalid_grant');

    const reset = await connected();
    ok(await reset.reset());
    refused(await withNonce(reset), 400, ['invalid_grant', 'invalid_dpop_proof']);
  });

  it('comes back three times a day', async () => {
    const shop = await connected();
    for (let time = 0; time < 3; time += 1) await shop.accept(await withNonce(shop));
    const fourth = await withNonce(shop);
    refused(fourth, [400, 429], ['invalid_grant', 'too_many_requests']);
    await shop.stillWorks();
  });

  it('comes back once after its token was used twice, and then when the merchant approves', async () => {
    const shop = await connected();
    await shop.accept(await withNonce(shop));
    const used = shop.tokens.refresh_token;
    for (let time = 0; time < 2; time += 1) await shop.accept(await shop.refresh());
    refused(await shop.refresh(used), 400, 'invalid_grant');
    refused(await shop.refresh(), 400, 'invalid_grant');
    await shop.accept(await withNonce(shop));
    refused(await withNonce(shop), 400, 'key_in_two_places');
    await shop.stillWorks();
    await shop.accept(await shop.redeem(await shop.authorize(here.browser)));
    await shop.accept(await withNonce(shop));
  });
});
