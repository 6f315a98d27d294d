// Refresh tokens in the wrong hands, after their time, and in many hands at once; and what revocation ends.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { Key, pkce } from './lib/dpop.mjs';
import { challenged, ok, refused, send } from './lib/http.mjs';
import { UNTHROTTLED, world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world({ settings: UNTHROTTLED }, prepare);
const AT_ONCE = 10;
const INACTIVE = { active: false };
let app;
let other;

async function prepare() {
  app = await App.register(here.server);
  other = await App.register(here.server, { name: 'Other' });
}

const given = async () => ok(await app.token(await app.authorize(here.browser)));

async function connected(platform = 'btcpay-server') {
  const shop = new Store(here.server, platform);
  await shop.connect(here.browser);
  return shop;
}

describe('a refresh token of a store', () => {
  const variants = (own, accessToken) => ({
    cut: own.slice(0, -1), longer: `${own}A`, 'in capitals': own.toUpperCase(), 'in spaces': ` ${own} `,
    'the prefix': 'mco_rt_',
    'a letter changed': `${own.slice(0, -2)}${own.at(-2) === 'A' ? 'B' : 'A'}${own.at(-1)}`,
    '30 kB': 'x'.repeat(30_000),
    'with NUL': `${own}\u0000`, 'an access token': accessToken,
  });

  it('survives every wrong attempt', async () => {
    const [shop, thief] = [await connected(), await connected()];
    const { refresh_token: own, access_token: accessToken } = shop.tokens;
    for (const [name, text] of Object.entries(variants(own, accessToken))) {
      refused(await shop.refresh(text), 400, 'invalid_grant', name);
    }
    refused(await shop.refresh(own, { proof: null }), 400, 'invalid_dpop_proof', 'no proof');
    refused(await shop.refresh(own, { key: thief.key }), 400, 'invalid_dpop_proof', 'another key');
    refused(await thief.refresh(own), 400, ['invalid_grant', 'invalid_dpop_proof'], 'another client');
    refused(await app.refresh(own), 400, ['invalid_grant', 'invalid_dpop_proof'], 'an application');

    const form = { grant_type: 'refresh_token', refresh_token: own };
    refused(await shop.token({ ...form, resource: 'https://evil.example' }), 400, 'invalid_target');
    const more = `${shop.rules.scopes.join(' ')} company:write`;
    refused(await shop.token({ ...form, scope: more }), 400, 'invalid_scope');
    const asCode = { grant_type: 'authorization_code', code: own, code_verifier: pkce().verifier };
    refused(await shop.token({ ...asCode, redirect_uri: shop.redirectUri }), 400, 'invalid_grant');
    const url = shop.at('/oauth/token');
    const inQuery = await send(`${url}?refresh_token=${own}`, {
      form: { grant_type: 'refresh_token', client_id: shop.clientId }, headers: { dpop: shop.key.proof('POST', url) },
    });
    refused(inQuery, 400, 'invalid_request');
    await shop.stillWorks();
    await thief.stillWorks();
  });

  for (const platform of ['btcpay-server', 'medusa']) {
    it(`many times at once gives one successor: ${platform}`, async () => {
      const shop = await connected(platform);
      const idempotency = shop.tokenKey() ?? null;
      const answers = await Promise.all(Array.from(
        { length: AT_ONCE }, () => shop.refresh(undefined, { idempotency }),
      ));
      const distinct = new Set(answers.map(({ status, text }) => `${status} ${text}`));
      assert.equal(distinct.size, 1, [...distinct].join('\n'));
      shop.tokens = ok(answers[0]);
      await shop.stillWorks();
    });
  }

  it('many times at once under different keys is given once', async () => {
    const shop = await connected('medusa');
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => shop.refresh()));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    shop.tokens = answers.find(({ status }) => status === 200).json;
    await shop.stillWorks();
  });
});

describe('a refresh token of an application', () => {
  it('used twice ends the family', async () => {
    const first = await given();
    const second = ok(await app.refresh(first.refresh_token));
    assert.notEqual(second.refresh_token, first.refresh_token);
    refused(await other.refresh(second.refresh_token), 400, 'invalid_grant', 'another client');
    refused(await other.refresh(first.refresh_token), 400, 'invalid_grant', 'another client with the old one');
    const third = ok(await app.refresh(second.refresh_token));
    refused(await app.refresh(second.refresh_token), 400, 'invalid_grant');
    refused(await app.refresh(third.refresh_token), 400, 'invalid_grant');
    assert.deepEqual(ok(await app.introspect(third.access_token)), INACTIVE);
  });

  it('may ask for less, and for all again', async () => {
    const first = await given();
    const [, one] = app.scopes;
    const less = ok(await app.refresh(first.refresh_token, { scope: one }));
    assert.equal(less.scope, one);
    const all = ok(await app.refresh(less.refresh_token));
    assert.deepEqual((all.scope ?? app.scopes.join(' ')).split(' ').sort(), [...app.scopes].sort());
    refused(await app.refresh(all.refresh_token, { scope: `${one} makepay:settings:read` }), 400, 'invalid_scope');
    ok(await app.refresh(all.refresh_token));
  });

  it('bound to a key stays bound', async () => {
    const key = new Key();
    const url = app.at('/oauth/token');
    const proof = (by = key) => ({ dpop: by.proof('POST', url) });
    const bound = ok(await app.token(await app.authorize(here.browser), proof()));
    assert.equal(bound.token_type, 'DPoP');
    refused(await app.refresh(bound.refresh_token), 400, 'invalid_dpop_proof', 'no proof');
    const stranger = await app.refresh(bound.refresh_token, { headers: proof(new Key()) });
    refused(stranger, 400, 'invalid_dpop_proof', 'another key');
    const links = `${here.server.audience}/makepay/payment-links`;
    const asBearer = await send(links, { headers: { authorization: `Bearer ${bound.access_token}` } });
    challenged(asBearer, 'invalid_token');
    const { access_token: token, token_type: type } = ok(await app.refresh(bound.refresh_token, { headers: proof() }));
    assert.equal(type, 'DPoP');
    ok(await send(links, { headers: { authorization: `DPoP ${token}`, dpop: key.proof('GET', links, { token }) } }));
  });

  it('made without a key is never bound later, and refuses the DPoP scheme', async () => {
    const { access_token: token } = await given();
    const links = `${here.server.audience}/makepay/payment-links`;
    ok(await send(links, { headers: { authorization: `Bearer ${token}` } }));
    const dpop = new Key().proof('GET', links, { token });
    const answer = await send(links, { headers: { authorization: `DPoP ${token}`, dpop } });
    challenged(answer, 'invalid_token');
  });

  it('many times at once never gives two families', async () => {
    const first = await given();
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => app.refresh(first.refresh_token)));
    assert.ok(answers.filter(({ status }) => status === 200).length <= 1);
    for (const answer of answers.filter(({ status }) => status !== 200)) refused(answer, 400, 'invalid_grant');
  });
});

describe('revocation', () => {
  it('of a refresh token ends the grant', async () => {
    const tokens = await given();
    const answer = await app.revoke(tokens.refresh_token);
    assert.deepEqual([answer.status, answer.text], [200, '']);
    refused(await app.refresh(tokens.refresh_token), 400, 'invalid_grant');
    assert.deepEqual(ok(await app.introspect(tokens.access_token)), INACTIVE);
    assert.equal((await app.revoke(tokens.refresh_token)).status, 200);
  });

  it('of a refresh token that was used ends what came of it', async () => {
    const before = await given();
    const after = ok(await app.refresh(before.refresh_token));
    const answer = await app.revoke(before.refresh_token);
    assert.deepEqual([answer.status, answer.text], [200, '']);
    refused(await app.refresh(after.refresh_token), 400, 'invalid_grant');
    assert.deepEqual(ok(await app.introspect(after.access_token)), INACTIVE);
  });

  it('of a store\'s token by another does nothing', async () => {
    const [shop, thief] = [await connected(), await connected()];
    const revoke = (token, id) => send(shop.at('/oauth/revoke'), { form: { token, client_id: id } });
    for (const token of [shop.tokens.refresh_token, shop.tokens.access_token]) {
      assert.ok([200, 400].includes((await revoke(token, thief.clientId)).status));
      assert.ok([200, 400].includes((await app.revoke(token)).status));
    }
    await shop.stillWorks();
    assert.equal((await revoke(shop.tokens.refresh_token, shop.clientId)).status, 200);
    refused(await shop.refresh(), 400, 'invalid_grant');
    challenged(await shop.api('GET', 'payment-links'), 'invalid_token');
    await thief.stillWorks();
  });

  it('beside a refresh leaves no token alive', async () => {
    const tokens = await given();
    const [rotated] = await Promise.all([app.refresh(tokens.refresh_token), app.revoke(tokens.refresh_token)]);
    if (rotated.status === 200) refused(await app.refresh(rotated.json.refresh_token), 400, 'invalid_grant');
    refused(await app.refresh(tokens.refresh_token), 400, 'invalid_grant');
  });
});
