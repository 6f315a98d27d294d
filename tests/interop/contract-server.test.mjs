// The contract's server itself, by the strict client: a daemon must not pass because its server is lax.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { startContractServer } from './contract-server.mjs';
import { Browser } from './lib/browser.mjs';
import { BAD_PROOFS, BAD_WITHOUT_TOKEN, knobsFor } from './lib/bad-proofs.mjs';
import { Key } from './lib/dpop.mjs';
import { ok, send } from './lib/http.mjs';
import { Store } from './lib/native.mjs';
import { until } from './lib/processes.mjs';

const browser = new Browser();
const here = {};

before(async () => {
  here.server = await startContractServer();
  here.issuer = here.server.origin;
});
after(() => here.server.close());

const store = (platform = 'medusa') => new Store(here, platform);
const control = async (command, body) => ok(await send(`${here.issuer}/__control/${command}`, {
  json: body, method: body ? 'POST' : 'GET', headers: { 'x-control': here.server.control },
}));
const fails = (answer, status, error) => assert.deepEqual(
  [answer.status, answer.json.error], [status, error], answer.text,
);

async function connected(platform) {
  const shop = store(platform);
  await shop.connect(browser);
  return shop;
}

describe('the contract', () => {
  for (const platform of ['medusa', 'btcpay-server']) {
    it(`is kept for ${platform}`, async () => {
      const shop = await connected(platform);
      await shop.accept(await shop.refresh());
      ok(await shop.api('GET', 'payment-links'));
    });
  }

  it('registers once, stages a proved key, and promotes it at approval', async () => {
    const shop = await connected();
    const next = new Key();
    fails(await shop.register({ key: next }), 401, 'previous_dpop_required');
    fails(await shop.register({ key: next, previous: next }), 401, 'invalid_previous_dpop_key');
    ok(await shop.register({ key: next, previous: shop.key }));
    await browser.deny(shop.request({ key: next }).url);
    await shop.stillWorks();
    const grant = await shop.authorize(browser, { key: next });
    fails(await shop.refresh(), 400, 'invalid_grant');
    await shop.accept(await shop.redeem(grant, { key: next }), { key: next });
    shop.key = next;
    await shop.stillWorks();
    const copy = new Store(here, 'medusa');
    Object.assign(copy, { registrationId: shop.registrationId, key: next });
    fails(await copy.register({ previous: next }), 409, 'registration_identity_mismatch');
  });

  it('replays answers until their successor is used', async () => {
    const shop = await connected();
    const used = shop.tokens.refresh_token;
    const idempotency = shop.tokenKey();
    const first = await shop.refresh(used, { idempotency });
    assert.equal((await shop.refresh(used, { idempotency })).text, first.text);
    fails(await shop.refresh(used, { idempotency, key: new Key() }), 400, 'invalid_dpop_key');
    await shop.accept(first);
    await shop.accept(await shop.refresh());
    const late = await shop.refresh(used, { idempotency });
    fails(late, 400, 'invalid_grant');
    assert.equal(late.headers['oauth-token-recovery'], 'expired');
  });

  it('resets, and knows the reset again', async () => {
    const shop = await connected();
    const idempotency = 'medusa-native-reset-0123456789012345678901234567890123456789';
    const first = await shop.reset({ idempotency });
    assert.equal(ok(first).reset, true);
    assert.equal((await shop.reset({ idempotency })).text, first.text);
    fails(await shop.reset({ idempotency, key: new Key() }), 401, 'invalid_reset_receipt_proof');
    assert.equal((await shop.api('GET', 'payment-links')).status, 401);
    const { grant_id: grantId } = shop.claims;
    const { clientId } = shop;
    Object.assign(shop, { key: new Key(), claims: undefined });
    ok(await shop.register());
    await shop.connect(browser);
    assert.equal(shop.clientId, clientId);
    assert.notEqual(shop.claims.grant_id, grantId);
  });

  it('takes no wrong proof', async () => {
    const shop = store();
    await shop.enrol();
    const url = shop.at('/oauth/native/installations');
    // The contract says nothing of these, and a small server need not.
    const unsaid = /crit|b64|two .* members|exp |nbf |nonce|line break|surrogate|nested/;
    for (const [name, knobs] of [...BAD_PROOFS, ...BAD_WITHOUT_TOKEN].filter(([one]) => !unsaid.test(one))) {
      const proof = shop.key.proof('POST', url, knobsFor(knobs, { key: shop.key, url }));
      assert.equal((await shop.register({ proof, previous: shop.key })).status, 400, name);
    }
  });
});

describe('what a test may do to it', () => {
  it('loses an answer whose effect has happened', async () => {
    const shop = await connected();
    const idempotency = shop.tokenKey();
    await control('lose', { endpoint: 'token' });
    await assert.rejects(shop.refresh(undefined, { idempotency }));
    await shop.accept(await shop.refresh(undefined, { idempotency }), { replayed: true });
  });

  it('holds, fails, demands nonces and counts', async () => {
    const shop = await connected();
    await control('counts/clear', {});
    await control('hold', { endpoint: 'token' });
    const held = shop.refresh();
    await until('it is held', async () => (await control('counts')).waiting.token === 1);
    await control('release', { endpoint: 'token' });
    await shop.accept(await held);
    await control('fail', { endpoint: 'token', count: 2 });
    for (const status of [503, 503, 200]) {
      const answer = await shop.refresh();
      assert.equal(answer.status, status);
      if (status === 200) await shop.accept(answer);
    }
    assert.equal((await control('counts')).requests.token, 4);
    await control('nonce', { required: true });
    const asked = await shop.api('GET', 'payment-links');
    fails(asked, 401, 'use_dpop_nonce');
    ok(await shop.api('GET', 'payment-links', { knobs: { nonce: asked.headers['dpop-nonce'] } }));
    await control('nonce', { required: false });
  });

  it('has the clock it is told', async () => {
    const shop = await connected();
    await control('clock', { shift: 3600 });
    assert.equal((await shop.api('GET', 'payment-links')).status, 401);
    await control('clock', { shift: 0 });
    ok(await shop.api('GET', 'payment-links'));
  });

  it('asks for its token', async () => {
    fails(await send(`${here.issuer}/__control/counts`), 403, 'control_token_required');
  });
});
