// Codes and refresh tokens in the wrong hands, at the wrong time, and in two hands at once.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';

import { Key, pkce, random } from './lib/dpop.mjs';
import { challenged, ok, refused, send } from './lib/http.mjs';
import { UNTHROTTLED, world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world({ settings: UNTHROTTLED });
const CALLBACK = 'https://app.example/cb';
const SCOPE = 'makepay:payment-links:read';
const AT_ONCE = 10;
let app;
let other;

before(async () => {
  app = await here.server.app('Ledger', 'Nordwind Trading', { redirectUris: [CALLBACK], scopes: ['company:read', SCOPE] });
  other = await here.server.app('Other', 'Nordwind Trading', { redirectUris: [CALLBACK], scopes: ['company:read', SCOPE] });
});

const basic = ({ client_id: id, client_secret: secret }) => ({ authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` });
const token = (form, client = app, headers = {}) => send(`${here.server.issuer}/oauth/token`, { form, headers: { ...basic(client), ...headers } });
const refresh = (refreshToken, client, headers, more) => token({ grant_type: 'refresh_token', refresh_token: refreshToken, ...more }, client, headers);

async function code(client = app) {
  const { verifier, challenge } = pkce();
  const query = new URLSearchParams({
    response_type: 'code', client_id: client.client_id, redirect_uri: CALLBACK, scope: `company:read ${SCOPE}`, state: random(), code_challenge: challenge, code_challenge_method: 'S256',
  });
  const { code: given } = await here.browser.approve(`${here.server.issuer}/oauth/authorize?${query}`);
  return { grant_type: 'authorization_code', code: given, code_verifier: verifier, redirect_uri: CALLBACK };
}

async function store(platform = 'btcpay-server') {
  const shop = new Store(here.server, platform);
  await shop.enrol();
  return shop;
}

const connected = async (platform) => {
  const shop = await store(platform);
  await shop.connect(here.browser);
  return shop;
};

describe('a code', () => {
  it('of an application survives every wrong attempt', async () => {
    const grant = await code();
    const { verifier } = pkce();
    for (const [name, change, error = 'invalid_grant'] of [
      ['verifier absent', { code_verifier: undefined }, ['invalid_grant', 'invalid_request']], ['verifier empty', { code_verifier: '' }, ['invalid_grant', 'invalid_request']],
      ['verifier of another', { code_verifier: verifier }], ['verifier short', { code_verifier: verifier.slice(0, 42) }, ['invalid_grant', 'invalid_request']],
      ['verifier long', { code_verifier: verifier.repeat(2).slice(0, 129) }, ['invalid_grant', 'invalid_request']], ['verifier with padding', { code_verifier: `${grant.code_verifier}=` }, ['invalid_grant', 'invalid_request']],
      ['verifier with a space', { code_verifier: `${grant.code_verifier} ` }, ['invalid_grant', 'invalid_request']], ['the challenge as the verifier', { code_verifier: random() }],
      ['callback absent', { redirect_uri: undefined }, ['invalid_grant', 'invalid_request']], ['callback with a slash', { redirect_uri: `${CALLBACK}/` }], ['callback in capitals', { redirect_uri: CALLBACK.toUpperCase() }],
      ['code cut', { code: grant.code.slice(0, -1) }], ['code longer', { code: `${grant.code}x` }], ['code in other case', { code: grant.code.toUpperCase() }], ['code with NUL', { code: `${grant.code}\u0000` }],
      ['code with a space', { code: ` ${grant.code}` }], ['code of 30 kB', { code: 'x'.repeat(30_000) }], ['prefix alone', { code: 'mco_code_' }], ['a refresh token', { code: `mco_rt_${random()}` }],
      ['another resource', { resource: 'https://evil.example/api' }, 'invalid_target'],
    ]) {
      const form = Object.fromEntries(Object.entries({ ...grant, ...change }).filter(([, value]) => value !== undefined));
      refused(await token(form), 400, error, name);
    }
    refused(await token(grant, other), 400, 'invalid_grant', 'another client');
    refused(await token({ ...grant, client_id: other.client_id }, app), [400, 401], ['invalid_request', 'invalid_client'], 'another client in the body');
    refused(await token(grant, app, { dpop: new Key().proof('GET', `${here.server.issuer}/oauth/token`) }), 400, 'invalid_dpop_proof', 'a wrong proof');
    refused(await token(grant, app, { dpop: '' }), 400, 'invalid_dpop_proof', 'an empty proof');
    assert.equal((await send(`${here.server.issuer}/oauth/token?${new URLSearchParams(grant)}`, { headers: basic(app) })).status, 405);
    assert.equal(ok(await token(grant)).token_type, 'Bearer');
  });

  it('used twice by its own client ends what it gave', async () => {
    const grant = await code();
    const first = ok(await token(grant));
    refused(await token(grant, other), 400, 'invalid_grant');
    refused(await token({ ...grant, code_verifier: pkce().verifier }), 400, 'invalid_grant');
    const { active } = ok(await send(`${here.server.issuer}/oauth/introspect`, { form: { token: first.access_token }, headers: basic(app) }));
    assert.equal(active, true, 'strangers end nothing');
    refused(await token(grant), 400, 'invalid_grant');
    const after = await send(`${here.server.issuer}/oauth/introspect`, { form: { token: first.access_token }, headers: basic(app) });
    assert.deepEqual(after.json, { active: false });
    refused(await refresh(first.refresh_token), 400, 'invalid_grant');
  });

  it('of a store is no other store\'s', async () => {
    const [shop, thief] = [await store(), await connected()];
    const grant = await shop.authorize(here.browser);
    refused(await thief.redeem(grant), 400, ['invalid_grant', 'invalid_dpop_proof']);
    refused(await thief.redeem({ ...grant, client_id: shop.clientId }), 400, 'invalid_dpop_proof');
    refused(await token({ ...grant, grant_type: 'authorization_code' }), 400, ['invalid_grant', 'invalid_dpop_proof']);
    await shop.accept(await shop.redeem(grant));
    await thief.stillWorks();
  });

  it('many times at once is given at most once', async () => {
    for (const platform of ['btcpay-server', 'medusa', 'wordpress']) {
      const shop = await store(platform);
      const grant = await shop.authorize(here.browser);
      const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => shop.redeem(grant)));
      assert.equal(answers.filter(({ status }) => status === 200).length, 1, platform);
      for (const answer of answers.filter(({ status }) => status !== 200)) refused(answer, 400, 'invalid_grant', platform);
    }
    const grant = await code();
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => token(grant)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  });

  it('many times at once with one idempotency key is one answer', async () => {
    const shop = await store('medusa');
    const grant = await shop.authorize(here.browser);
    const idempotency = shop.tokenKey();
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => shop.redeem(grant, { idempotency })));
    assert.deepEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1, answers.map(({ text }) => text).join('\n'));
    assert.equal(answers.filter(({ headers }) => headers['idempotent-replayed'] === undefined).length, 1);
    shop.tokens = ok(answers[0]);
    await shop.stillWorks();
  });
});

describe('a refresh token', () => {
  it('survives every wrong attempt', async () => {
    const [shop, thief] = [await connected(), await connected()];
    const { refresh_token: own } = shop.tokens;
    for (const [name, text] of Object.entries({ cut: own.slice(0, -1), longer: `${own}A`, 'a bit turned': `${own.slice(0, -2)}${own.at(-2) === 'A' ? 'B' : 'A'}${own.at(-1)}`, 'in capitals': own.toUpperCase(), 'in spaces': ` ${own} `, prefix: 'mco_rt_', '30 kB': 'x'.repeat(30_000), NUL: `${own}\u0000`, 'an access token': shop.tokens.access_token })) {
      refused(await shop.refresh(text), 400, 'invalid_grant', name);
    }
    refused(await shop.refresh(own, { proof: null }), 400, 'invalid_dpop_proof', 'no proof');
    refused(await shop.refresh(own, { key: thief.key }), 400, 'invalid_dpop_proof', 'another key');
    refused(await thief.refresh(own), 400, ['invalid_grant', 'invalid_dpop_proof'], 'another client');
    refused(await refresh(own), 400, ['invalid_grant', 'invalid_dpop_proof'], 'an application');
    refused(await shop.token({ grant_type: 'refresh_token', refresh_token: own, resource: 'https://evil.example' }), 400, 'invalid_target');
    refused(await shop.token({ grant_type: 'refresh_token', refresh_token: own, scope: `${shop.rules.scopes.join(' ')} company:write` }), 400, 'invalid_scope');
    refused(await shop.token({ grant_type: 'authorization_code', code: own, code_verifier: pkce().verifier, redirect_uri: shop.redirectUri }), 400, 'invalid_grant');
    assert.equal((await send(`${shop.at('/oauth/token')}?refresh_token=${own}`, { form: { grant_type: 'refresh_token', client_id: shop.clientId }, headers: { dpop: shop.key.proof('POST', shop.at('/oauth/token')) } })).status, 400);
    await shop.stillWorks();
    await thief.stillWorks();
  });

  it('of an application is strict: used twice ends the family', async () => {
    const first = ok(await token(await code()));
    const second = ok(await refresh(first.refresh_token));
    assert.notEqual(second.refresh_token, first.refresh_token);
    refused(await refresh(second.refresh_token, other), 400, 'invalid_grant', 'another client');
    refused(await refresh(first.refresh_token, other), 400, 'invalid_grant', 'another client with the old one');
    const third = ok(await refresh(second.refresh_token));
    refused(await refresh(second.refresh_token), 400, 'invalid_grant');
    refused(await refresh(third.refresh_token), 400, 'invalid_grant');
    const seen = await send(`${here.server.issuer}/oauth/introspect`, { form: { token: third.access_token }, headers: basic(app) });
    assert.deepEqual(seen.json, { active: false });
  });

  it('of an application may ask for less, and for all again', async () => {
    const first = ok(await token(await code()));
    const less = ok(await refresh(first.refresh_token, app, {}, { scope: SCOPE }));
    assert.equal(less.scope, SCOPE);
    const all = ok(await refresh(less.refresh_token));
    assert.deepEqual((all.scope ?? `company:read ${SCOPE}`).split(' ').sort(), ['company:read', SCOPE]);
    refused(await refresh(all.refresh_token, app, {}, { scope: `${SCOPE} makepay:settings:read` }), 400, 'invalid_scope');
    ok(await refresh(all.refresh_token));
  });

  it('bound to a key stays bound', async () => {
    const key = new Key();
    const url = `${here.server.issuer}/oauth/token`;
    const bound = ok(await token(await code(), app, { dpop: key.proof('POST', url) }));
    assert.equal(bound.token_type, 'DPoP');
    refused(await refresh(bound.refresh_token), 400, 'invalid_dpop_proof', 'no proof');
    refused(await refresh(bound.refresh_token, app, { dpop: new Key().proof('POST', url) }), 400, 'invalid_dpop_proof', 'another key');
    const links = `${here.server.audience}/makepay/payment-links`;
    challenged(await send(links, { headers: { authorization: `Bearer ${bound.access_token}` } }), 'invalid_token');
    const next = ok(await refresh(bound.refresh_token, app, { dpop: key.proof('POST', url) }));
    assert.equal(next.token_type, 'DPoP');
    ok(await send(links, { headers: { authorization: `DPoP ${next.access_token}`, dpop: key.proof('GET', links, { token: next.access_token }) } }));
  });

  it('of an application many times at once never gives two families', async () => {
    const first = ok(await token(await code()));
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => refresh(first.refresh_token)));
    assert.ok(answers.filter(({ status }) => status === 200).length <= 1);
    for (const answer of answers.filter(({ status }) => status !== 200)) refused(answer, 400, 'invalid_grant');
  });

  it('of a store many times at once gives one successor', async () => {
    for (const platform of ['btcpay-server', 'medusa']) {
      const shop = await connected(platform);
      const idempotency = shop.tokenKey() ?? null;
      const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => shop.refresh(undefined, { idempotency })));
      assert.equal(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1, platform);
      shop.tokens = ok(answers[0]);
      await shop.stillWorks();
    }
    const shop = await connected('medusa');
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => shop.refresh()));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1, 'different keys');
    shop.tokens = answers.find(({ status }) => status === 200).json;
    await shop.stillWorks();
  });
});

describe('revocation', () => {
  const revoke = (form, headers) => send(`${here.server.issuer}/oauth/revoke`, { form, headers });

  it('of a refresh token ends the grant', async () => {
    const given = ok(await token(await code()));
    const answer = await revoke({ token: given.refresh_token }, basic(app));
    assert.deepEqual([answer.status, answer.text], [200, '']);
    refused(await refresh(given.refresh_token), 400, 'invalid_grant');
    assert.deepEqual((await send(`${here.server.issuer}/oauth/introspect`, { form: { token: given.access_token }, headers: basic(app) })).json, { active: false });
    assert.equal((await revoke({ token: given.refresh_token }, basic(app))).status, 200);
  });

  it('of a store\'s token by another does nothing', async () => {
    const [shop, thief] = [await connected(), await connected()];
    for (const form of [{ token: shop.tokens.refresh_token, client_id: thief.clientId }, { token: shop.tokens.access_token, client_id: thief.clientId }]) {
      assert.ok([200, 400].includes((await revoke(form)).status));
    }
    await shop.stillWorks();
    assert.equal((await revoke({ token: shop.tokens.refresh_token, client_id: shop.clientId })).status, 200);
    refused(await shop.refresh(), 400, 'invalid_grant');
    challenged(await shop.api('GET', 'payment-links'), 'invalid_token');
    await thief.stillWorks();
  });

  it('beside a refresh leaves no token alive', async () => {
    const given = ok(await token(await code()));
    const [rotated] = await Promise.all([refresh(given.refresh_token), revoke({ token: given.refresh_token }, basic(app))]);
    if (rotated.status === 200) refused(await refresh(rotated.json.refresh_token), 400, 'invalid_grant');
    refused(await refresh(given.refresh_token), 400, 'invalid_grant');
  });
});
