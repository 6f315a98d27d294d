// What ends by itself, on a server where that takes a second or two.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { challenged, ok, refused, refusedInPlace } from './lib/http.mjs';
import { clockPasses, world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world({ settings: '[lifetimes]\ncode = 1\nrequest_uri = 1\naccess_token = 2\n' });
const soon = (seconds) => Math.floor(Date.now() / 1000) + seconds + 1;

describe('in time', () => {
  it('a code ends', async () => {
    const shop = new Store(here.server, 'btcpay-server');
    await shop.enrol();
    const grant = await shop.authorize(here.browser);
    await clockPasses(soon(1));
    refused(await shop.redeem(grant), 400, 'invalid_grant');
    ok(await shop.redeem(await shop.authorize(here.browser)));
  });

  it('a request_uri ends, and the browser\'s own parameters do not take its place', async () => {
    const app = await App.register(here.server);
    const { parameters } = app.request();
    const { request_uri: uri } = ok(await app.push(parameters), 201);
    await clockPasses(soon(1));
    refusedInPlace(await here.browser.load(app.url({ ...parameters, request_uri: uri })));
  });

  it('an access token ends, its family does not, and neither does the replay of its answer', async () => {
    const shop = new Store(here.server, 'medusa');
    await shop.enrol();
    const grant = await shop.authorize(here.browser);
    const idempotency = shop.tokenKey();
    const first = await shop.redeem(grant, { idempotency });
    shop.tokens = ok(first);
    assert.equal(shop.tokens.expires_in, 2);
    await clockPasses(soon(2));
    challenged(await shop.api('GET', 'payment-links'), 'invalid_token');
    assert.equal((await shop.redeem(grant, { idempotency })).text, first.text);
    shop.tokens = ok(await shop.refresh());
    ok(await shop.api('GET', 'payment-links'));
  });
});
