// Pushed authorization requests (RFC 9126): whose they are, what they carry, when they are spent, which key they bind.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { App, CALLBACK } from './lib/app.mjs';
import { Key } from './lib/dpop.mjs';
import { basic, ok, refused, refusedInPlace, send } from './lib/http.mjs';
import { UNTHROTTLED, world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world({ settings: UNTHROTTLED }, prepare);
let app;
let desk;

async function prepare() {
  app = await App.register(here.server);
  desk = await App.register(here.server, { name: 'Desk', flags: ['--public'] });
}

const opened = (uri, { id } = app, more = {}) => app.url({ client_id: id, request_uri: uri, ...more });

async function pushed(changes, by = app) {
  const answer = await by.push(by.request(changes).parameters);
  const body = ok(answer, 201);
  assert.match(body.request_uri, /^urn:ietf:params:oauth:request_uri:[A-Za-z0-9_-]{22,}$/);
  assert.ok(body.expires_in >= 5 && body.expires_in < 600);
  assert.deepEqual(Object.keys(body).sort(), ['expires_in', 'request_uri']);
  assert.equal(answer.headers['cache-control'], 'no-cache, no-store');
  assert.equal(answer.headers['content-type'], 'application/json');
  return body.request_uri;
}

describe('a pushed request', () => {
  it('carries its own parameters and none of the browser\'s', async () => {
    const uri = await pushed({ state: 'pushed' });
    const evil = { redirect_uri: 'https://evil.example/cb', scope: 'admin', state: 'query' };
    const page = await here.browser.reachConsent(opened(uri, app, evil));
    assert.ok(page.form, 'the consent page');
    const { left } = await here.browser.submit(page, page.form, 'deny');
    assert.ok(left.startsWith(`${CALLBACK}?`), left);
    assert.equal(new URL(left).searchParams.get('state'), 'pushed');
  });

  it('is spent by the decision, not by looking', async () => {
    const uri = await pushed();
    await here.browser.reachConsent(opened(uri));
    await here.browser.reachConsent(opened(uri));
    await here.browser.approve(opened(uri));
    refusedInPlace(await here.browser.load(opened(uri)));
  });

  it('is its own client\'s', async () => {
    const uri = await pushed();
    refusedInPlace(await send(opened(uri, desk)));
    refusedInPlace(await send(app.url({ request_uri: uri })));
    await here.browser.approve(opened(uri));
  });

  it('is made by a client that proves itself', async () => {
    const push = (form, headers) => send(app.at('/oauth/par'), { form, headers });
    const { parameters } = app.request();
    refused(await push(parameters), 401, 'invalid_client');
    refused(await push(parameters, basic(app.id, 'wrong')), 401, 'invalid_client');
    refused(await push(desk.request().parameters, app.credentials), [400, 401], ['invalid_request', 'invalid_client']);
    refused(await push({ ...parameters, client_id: 'mco_app_unknown' }), 401, 'invalid_client');
    await pushed({}, desk);
  });

  it('names no request_uri itself', async () => {
    const { parameters } = app.request({ request_uri: await pushed() });
    refused(await app.push(parameters), 400, 'invalid_request');
  });

  it('binds to the key of its proof, which dpop_jkt may only repeat', async () => {
    const [key, other] = [new Key(), new Key()];
    const push = (jkt) => app.push(
      app.request({ dpop_jkt: jkt }).parameters, { dpop: key.proof('POST', app.at('/oauth/par')) },
    );
    refused(await push(other.jkt), 400, ['invalid_dpop_proof', 'invalid_request']);
    ok(await push(key.jkt), 201);
    const { parameters, verifier } = app.request();
    const { request_uri: uri } = ok(await app.push(parameters, { dpop: key.proof('POST', app.at('/oauth/par')) }), 201);
    const { code } = await here.browser.approve(opened(uri));
    const grant = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK };
    const sign = (by) => ({ dpop: by.proof('POST', app.at('/oauth/token')) });
    refused(await app.token(grant), 400, ['invalid_dpop_proof', 'invalid_grant']);
    refused(await app.token(grant, sign(other)), 400, ['invalid_dpop_proof', 'invalid_grant']);
    assert.equal(ok(await app.token(grant, sign(key))).token_type, 'DPoP');
  });

  it('of a client without a secret is pushed with a proof, and redeemed with that key', async () => {
    const key = new Key();
    const sign = (path) => ({ dpop: key.proof('POST', desk.at(path)) });
    const { parameters, verifier } = desk.request();
    const { request_uri: uri } = ok(await desk.push(parameters, sign('/oauth/par')), 201);
    const { code } = await here.browser.approve(opened(uri, desk));
    const grant = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: CALLBACK };
    refused(await desk.token(grant), 400, ['invalid_dpop_proof', 'invalid_grant']);
    assert.equal(ok(await desk.token(grant, sign('/oauth/token'))).token_type, 'DPoP');
  });
});

describe('a pushed request of a store', () => {
  it('needs the proof of a key that it registered', async () => {
    const shop = new Store(here.server, 'wordpress');
    await shop.enrol();
    const par = shop.at('/oauth/par');
    const next = new Key();
    const at = (key, changes) => send(par, {
      form: shop.request({ key, ...changes }).parameters, headers: { dpop: key?.proof('POST', par) },
    });
    refused(await send(par, { form: shop.request().parameters }), 400, 'invalid_dpop_proof');
    refused(await at(next), 400, 'invalid_dpop_proof');
    refused(await at(shop.key, { dpop_jkt: next.jkt }), 400, ['invalid_dpop_proof', 'invalid_request']);
    ok(await at(shop.key), 201);
    ok(await shop.register({ key: next, previous: shop.key }));
    ok(await at(next), 201);
    ok(await at(shop.key, { dpop_jkt: undefined }), 201);
  });
});
