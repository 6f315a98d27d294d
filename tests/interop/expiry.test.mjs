// What ends by itself, on a server where that takes a second or two; and what does not end with it, on the same server
// with the usual times, since a busy machine needs longer than a second for anything.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { challenged, ok, refused, refusedInPlace } from './lib/http.mjs';
import { clockPasses, world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world();
const soon = (seconds) => Math.floor(Date.now() / 1000) + seconds + 1;

/** Has the server go on with this lifetime, or the usual ones. */
async function lives(setting = '') {
  writeFileSync(here.server.config, `[lifetimes]\n${setting}\n`);
  await here.server.restart();
}

describe('in time', () => {
  it('a code ends', async () => {
    const shop = new Store(here.server, 'btcpay-server');
    await shop.enrol();
    await lives('code = 1');
    const grant = await shop.authorize(here.browser);
    await clockPasses(soon(1));
    refused(await shop.redeem(grant), 400, 'invalid_grant');
    await lives();
    refused(await shop.redeem(grant), 400, 'invalid_grant');
    ok(await shop.redeem(await shop.authorize(here.browser)));
  });

  it('a request_uri ends, and the browser\'s own parameters do not take its place', async () => {
    const app = await App.register(here.server);
    const { parameters } = app.request();
    await lives('request_uri = 1');
    const { request_uri: uri } = ok(await app.push(parameters), 201);
    await clockPasses(soon(1));
    refusedInPlace(await here.browser.load(app.url({ ...parameters, request_uri: uri })));
    await lives();
    refusedInPlace(await here.browser.load(app.url({ ...parameters, request_uri: uri })));
    const { request_uri: next } = ok(await app.push(parameters), 201);
    await here.browser.approve(app.url({ client_id: app.id, request_uri: next }));
  });

  it('an access token ends, its family does not, and neither does the replay of its answer', async () => {
    const shop = new Store(here.server, 'medusa');
    await shop.enrol();
    await lives('access_token = 2');
    const grant = await shop.authorize(here.browser);
    const idempotency = shop.tokenKey();
    const first = await shop.redeem(grant, { idempotency });
    shop.tokens = ok(first);
    assert.equal(shop.tokens.expires_in, 2);
    await clockPasses(soon(2));
    challenged(await shop.api('GET', 'payment-links'), 'invalid_token');
    assert.equal((await shop.redeem(grant, { idempotency })).text, first.text);
    await lives();
    shop.tokens = ok(await shop.refresh());
    ok(await shop.api('GET', 'payment-links'));
  });
});
