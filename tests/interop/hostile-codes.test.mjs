// Authorization codes in the wrong hands, a second time, and in many hands at once.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { App, CALLBACK } from './lib/app.mjs';
import { Key, pkce, random } from './lib/dpop.mjs';
import { ok, refused, send } from './lib/http.mjs';
import { PATIENT, world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world({ settings: PATIENT }, prepare);
const AT_ONCE = 10;
let app;
let other;

async function prepare() {
  app = await App.register(here.server);
  other = await App.register(here.server, { name: 'Other' });
}

async function store(platform = 'btcpay-server') {
  const shop = new Store(here.server, platform);
  await shop.enrol();
  return shop;
}

describe('a code of an application', () => {
  const MALFORMED = ['invalid_grant', 'invalid_request'];
  const { verifier } = pkce();
  const WRONG = [
    ['verifier absent', () => ({ code_verifier: undefined }), MALFORMED],
    ['verifier empty', () => ({ code_verifier: '' }), MALFORMED],
    ['verifier of another', () => ({ code_verifier: verifier })],
    ['verifier short', () => ({ code_verifier: verifier.slice(0, 42) }), MALFORMED],
    ['verifier long', () => ({ code_verifier: verifier.repeat(2).slice(0, 129) }), MALFORMED],
    ['verifier with padding', (grant) => ({ code_verifier: `${grant.code_verifier}=` }), MALFORMED],
    ['verifier with a space', (grant) => ({ code_verifier: `${grant.code_verifier} ` }), MALFORMED],
    ['verifier of 32 bytes', () => ({ code_verifier: random() })],
    ['callback absent', () => ({ redirect_uri: undefined }), MALFORMED],
    ['callback with a slash', () => ({ redirect_uri: `${CALLBACK}/` })],
    ['callback in capitals', () => ({ redirect_uri: CALLBACK.toUpperCase() })],
    ['code cut', ({ code }) => ({ code: code.slice(0, -1) })],
    ['code longer', ({ code }) => ({ code: `${code}x` })],
    ['code in other case', ({ code }) => ({ code: code.toUpperCase() })],
    ['code with NUL', ({ code }) => ({ code: `${code}\u0000` })],
    ['code with a space', ({ code }) => ({ code: ` ${code}` })],
    ['code of 30 kB', () => ({ code: 'x'.repeat(30_000) })],
    ['prefix alone', () => ({ code: 'mco_code_' })],
    ['a refresh token', () => ({ code: `mco_rt_${random()}` })],
    ['another resource', () => ({ resource: 'https://evil.example/api' }), 'invalid_target'],
  ];

  it('survives every wrong attempt', async () => {
    const grant = await app.authorize(here.browser);
    for (const [name, change, error = 'invalid_grant'] of WRONG) {
      refused(await app.token({ ...grant, ...change(grant) }), 400, error, name);
    }
    refused(await other.token(grant), 400, 'invalid_grant', 'another client');
    const inBody = await app.token({ ...grant, client_id: other.id });
    refused(inBody, [400, 401], ['invalid_request', 'invalid_client'], 'another client in the body');
    const elsewhere = new Key().proof('GET', app.at('/oauth/token'));
    refused(await app.token(grant, { dpop: elsewhere }), 400, 'invalid_dpop_proof', 'a wrong proof');
    refused(await app.token(grant, { dpop: '' }), 400, 'invalid_dpop_proof', 'an empty proof');
    const token = app.at('/oauth/token');
    const query = `${token}?${new URLSearchParams(grant)}`;
    const { credentials: headers } = app;
    for (const method of ['GET', 'HEAD']) assert.equal((await send(query, { method, headers })).status, 405, method);
    const { grant_type: type, ...rest } = grant;
    for (const [at, form] of [[query, {}], [query, grant], [`${token}?${new URLSearchParams(rest)}`, { grant_type: type }]]) {
      refused(await send(at, { form, headers }), 400, 'invalid_request', 'in the address');
    }
    refused(await send(token, { json: grant, headers }), [400, 415], 'invalid_request', 'as JSON');
    assert.equal(ok(await app.token(grant)).token_type, 'Bearer');
  });

  it('used twice by its own client ends what it gave', async () => {
    const grant = await app.authorize(here.browser);
    const first = ok(await app.token(grant));
    refused(await other.token(grant), 400, 'invalid_grant');
    refused(await app.token({ ...grant, code_verifier: pkce().verifier }), 400, 'invalid_grant');
    assert.equal(ok(await app.introspect(first.access_token)).active, true, 'strangers end nothing');
    refused(await app.token(grant), 400, 'invalid_grant');
    assert.deepEqual(ok(await app.introspect(first.access_token)), { active: false });
    refused(await app.refresh(first.refresh_token), 400, 'invalid_grant');
  });

  it('many times at once is given at most once', async () => {
    const grant = await app.authorize(here.browser);
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => app.token(grant)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    for (const answer of answers.filter(({ status }) => status !== 200)) refused(answer, 400, 'invalid_grant');
  });

  it('is one of two that share a challenge', async () => {
    const { verifier: shared, challenge } = pkce();
    const grants = [];
    for (const state of ['one', 'two']) {
      grants.push({
        ...await app.authorize(here.browser, { code_challenge: challenge, state }), code_verifier: shared,
      });
    }
    assert.notEqual(grants[0].code, grants[1].code);
    for (const grant of grants) ok(await app.token(grant));
  });
});

describe('a code of a store', () => {
  it('is no other store\'s', async () => {
    const [shop, thief] = [await store(), await store()];
    await thief.connect(here.browser);
    const grant = await shop.authorize(here.browser);
    refused(await thief.redeem(grant), 400, ['invalid_grant', 'invalid_dpop_proof']);
    refused(await thief.redeem({ ...grant, client_id: shop.clientId }), 400, 'invalid_dpop_proof');
    const byApp = await app.token({ ...grant, grant_type: 'authorization_code' });
    refused(byApp, 400, ['invalid_grant', 'invalid_dpop_proof']);
    await shop.accept(await shop.redeem(grant));
    await thief.stillWorks();
  });

  for (const platform of ['btcpay-server', 'medusa', 'wordpress']) {
    it(`many times at once is given at most once: ${platform}`, async () => {
      const shop = await store(platform);
      const grant = await shop.authorize(here.browser);
      const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => shop.redeem(grant)));
      assert.equal(answers.filter(({ status }) => status === 200).length, 1);
      for (const answer of answers.filter(({ status }) => status !== 200)) refused(answer, 400, 'invalid_grant');
    });
  }

  it('many times at once with one idempotency key is one answer', async () => {
    const shop = await store('medusa');
    const grant = await shop.authorize(here.browser);
    const idempotency = shop.tokenKey();
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => shop.redeem(grant, { idempotency })));
    const distinct = new Set(answers.map(({ status, text }) => `${status} ${text}`));
    assert.equal(distinct.size, 1, [...distinct].join('\n'));
    assert.equal(answers.filter(({ headers }) => headers['idempotent-replayed'] === undefined).length, 1);
    shop.tokens = ok(answers[0]);
    await shop.stillWorks();
  });
});
