// kill -9 of the server at any moment: what was answered stands, what was not is either done once or not at all, and
// the honest retry gets through.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Key, hex40 } from './lib/dpop.mjs';
import { ok, refused, send } from './lib/http.mjs';
import { PATIENT, world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world({ settings: PATIENT });
/** Milliseconds after which the server dies: before, while and after it works on the request. */
const MOMENTS = [0, 1, 2, 3, 4, 6, 9, 14];

/** Sends a request and kills the server `moment` ms later; answers what came back, if anything did. */
async function cutOff(moment, request) {
  const pending = request().catch(() => undefined);
  await new Promise((resolve) => { setTimeout(resolve, moment); });
  await here.server.kill();
  const answer = await pending;
  await here.server.launch();
  return answer;
}

const store = (platform = 'medusa') => new Store(here.server, platform);

async function connected(platform) {
  const shop = store(platform);
  await shop.connect(here.browser);
  return shop;
}

describe('the server dies', () => {
  it('while a store registers', async () => {
    for (const moment of MOMENTS) {
      const shop = store();
      const first = await cutOff(moment, () => shop.register());
      const again = await shop.register();
      assert.ok([200, 201].includes(again.status), again.text);
      if (first) {
        assert.equal(again.status, 200, `${moment} ms`);
        assert.equal(again.json.client_id, first.json.client_id, `${moment} ms`);
      }
    }
  });

  it('while a code is redeemed', async () => {
    const shop = await connected();
    for (const moment of MOMENTS) {
      const grant = await shop.authorize(here.browser);
      const idempotency = shop.tokenKey();
      const first = await cutOff(moment, () => shop.redeem(grant, { idempotency }));
      const again = await shop.redeem(grant, { idempotency });
      ok(again, 200, `${moment} ms`);
      if (first) assert.equal(again.text, first.text, `${moment} ms`);
      shop.tokens = again.json;
      await shop.stillWorks();
    }
  });

  it('while a token is refreshed, with and without an idempotency key', async () => {
    for (const platform of ['medusa', 'btcpay-server']) {
      const shop = await connected(platform);
      for (const moment of MOMENTS) {
        const used = shop.tokens.refresh_token;
        const idempotency = shop.tokenKey() ?? null;
        const first = await cutOff(moment, () => shop.refresh(used, { idempotency }));
        const again = await shop.refresh(used, { idempotency });
        ok(again, 200, `${platform} ${moment} ms`);
        if (first) assert.equal(again.json.refresh_token, first.json.refresh_token, `${platform} ${moment} ms`);
        shop.tokens = again.json;
        await shop.stillWorks();
      }
    }
  });

  it('while a payment link is made', async () => {
    const shop = await connected('wordpress');
    for (const moment of MOMENTS) {
      const create = () => shop.api('POST', 'payment-links', {
        json: { payload: { amount: '3.00', fiatCurrency: 'EUR' } }, idempotency: `order-${process.pid}-${moment}`,
      });
      const first = await cutOff(moment, create);
      const again = await create();
      assert.ok([200, 201].includes(again.status), again.text);
      if (first) assert.equal(again.json.paymentLink.uid, first.json.paymentLink.uid, `${moment} ms`);
    }
    assert.equal(ok(await shop.api('GET', 'payment-links')).paymentLinks.length, MOMENTS.length);
  });

  it('while a store is reset', async () => {
    for (const moment of MOMENTS) {
      const shop = await connected();
      const idempotency = `medusa-native-reset-${hex40()}`;
      const first = await cutOff(moment, () => shop.reset({ idempotency }));
      const again = await shop.reset({ idempotency });
      ok(again, 200, `${moment} ms`);
      if (first) assert.equal(again.text, first.text, `${moment} ms`);
      assert.equal((await shop.api('GET', 'payment-links')).status, 401);
      shop.key = new Key();
      assert.equal(ok(await shop.register()).client_id, shop.clientId);
    }
  });

  it('while a grant is revoked', async () => {
    for (const moment of MOMENTS) {
      const shop = await connected('btcpay-server');
      const form = { token: shop.tokens.refresh_token, client_id: shop.clientId };
      const revoke = () => send(shop.at('/oauth/revoke'), { form });
      const first = await cutOff(moment, revoke);
      if (!first) assert.equal((await revoke()).status, 200);
      refused(await shop.refresh(), 400, 'invalid_grant', `${moment} ms`);
      assert.equal((await shop.api('GET', 'payment-links')).status, 401, `${moment} ms`);
    }
  });

  it('and a browser session outlives it', async () => {
    const shop = await connected();
    await here.server.restart();
    const page = await here.browser.reachConsent(shop.request().url);
    assert.ok(page.form, 'no sign-in was needed');
    await here.server.restart();
    const { left } = await here.browser.submit(page, page.form, 'approve');
    assert.ok(left?.includes('code='), 'a consent page outlives it too');
  });
});
