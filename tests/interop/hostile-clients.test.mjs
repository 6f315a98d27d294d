// Clients that do not prove themselves, at every endpoint that asks who is there; and what they may learn.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { random } from './lib/dpop.mjs';
import { basic, ok, refused, send } from './lib/http.mjs';
import { UNTHROTTLED, world } from './lib/kit.mjs';

const here = world({ settings: UNTHROTTLED }, prepare);
const ENDPOINTS = ['token', 'par', 'revoke', 'introspect'];
const SOMETHING_MISSING = [[400, 401], ['invalid_client', 'invalid_request']];
let app;
let desk;
let guard;

async function prepare() {
  app = await App.register(here.server);
  desk = await App.register(here.server, { name: 'Desk', flags: ['--public'] });
  guard = await App.register(here.server, {
    name: 'Guard', redirectUris: [], scopes: [], flags: ['--resource-server'],
  });
}

const post = (endpoint, form, headers = app.credentials) => send(app.at(`/oauth/${endpoint}`), { form, headers });
const credentials = (changes) => ({ grant_type: 'client_credentials', ...changes });
const honest = async () => ok(await post('token', credentials()));

describe('a client', () => {
  it('that does not prove itself is like every other one', async () => {
    const texts = new Set();
    const wrong = [
      basic(app.id, 'wrong'), basic('mco_app_unknown', app.secret), basic(app.id, guard.secret), basic(app.id, ''),
      basic('', ''),
      basic(app.id, `${app.secret}x`), basic(app.id, app.secret.slice(1)),
    ];
    for (const headers of wrong) {
      for (const endpoint of ENDPOINTS) {
        const answer = await post(endpoint, { ...credentials(), token: 'x' }, headers);
        refused(answer, 401, 'invalid_client', endpoint);
        assert.match(answer.headers['www-authenticate'], /^Basic realm=/i);
        assert.match(answer.headers['cache-control'], /no-store/);
        texts.add(answer.text);
      }
    }
    assert.equal(texts.size, 1, [...texts].join('\n'));
    await honest();
  });

  it('with a malformed header gets 400 or 401, never an error of ours', async () => {
    const good = Buffer.from(`${app.id}:${app.secret}`).toString('base64');
    const malformed = [
      'Basic', 'Basic ', 'Bearer', 'Bearer x', 'DPoP', 'Basic \xe2\x98\x83', 'Basic ====', `Basic ${'A'.repeat(9_000)}`,
      '   ', ',',
      `Basic ${good.replace(/=*$/, '')}!`, `Basic ${Buffer.from(app.id).toString('base64')}`, `Basic ${good} ${good}`,
      'Negotiate x',
      `Basic ${Buffer.from([0xff, 0x3a, 0xff]).toString('base64')}`,
    ];
    for (const authorization of malformed) {
      refused(await post('token', credentials(), { authorization }), ...SOMETHING_MISSING, authorization.slice(0, 40));
    }
    const { authorization } = app.credentials;
    refused(
      await post('token', credentials(), { authorization: [authorization, authorization] }), ...SOMETHING_MISSING,
    );
  });

  it('writes its credentials as base64 has them, and once', async () => {
    const base64 = (id) => Buffer.from(`${id}:${app.secret}`).toString('base64');
    // One of the two spellings of the id, which are the same (RFC 6749 §2.3.1), ends with padding.
    const good = [app.id, app.id.replace('_', '%5F')].map(base64).find((text) => text.endsWith('='));
    const bare = good.replace(/=+$/, '');
    for (const authorization of [`Basic ${good}`, `basic ${good}`, `BASIC ${good}`]) {
      ok(await post('token', credentials(), { authorization }), 200, authorization);
    }
    for (const text of [bare, `${good}=`, `=${good}`, ` ${good}`, `\t${good}`, `${good},`, `"${good}"`, `${good.slice(0, 8)} ${good.slice(8)}`, `${bare}-`, `${good} realm="x"`]) {
      const answer = await post('token', credentials(), { authorization: `Basic ${text}` });
      refused(answer, [400, 401], ['invalid_client', 'invalid_request'], text);
    }
    await honest();
  });

  it('proves itself in the header or in the body, as it likes, at every endpoint', async () => {
    const inBody = { client_id: app.id, client_secret: app.secret };
    const forms = {
      token: [credentials(), 200], par: [app.request().parameters, 201], revoke: [{ token: 'x' }, 200],
      introspect: [{ token: 'x' }, 200],
    };
    for (const [endpoint, [form, status]] of Object.entries(forms)) {
      assert.equal((await post(endpoint, form)).status, status, `${endpoint}: header`);
      assert.equal((await post(endpoint, { ...form, ...inBody }, {})).status, status, `${endpoint}: body`);
      refused(await post(endpoint, { ...form, ...inBody }), 400, 'invalid_request', `${endpoint}: both`);
      refused(await post(endpoint, { ...form, ...inBody, client_secret: 'wrong' }, {}), 401, 'invalid_client', endpoint);
    }
  });

  it('proves itself one way at a time', async () => {
    const secret = { client_id: app.id, client_secret: app.secret };
    ok(await post('token', credentials({ client_id: app.id })));
    ok(await post('token', credentials(secret), {}));
    refused(await post('token', credentials({ ...secret, client_secret: 'wrong' }), {}), 401, 'invalid_client');
    refused(await post('token', credentials({ client_id: desk.id })), ...SOMETHING_MISSING);
    refused(await post('token', credentials({ client_id: app.id }), {}), 401, 'invalid_client');
    refused(await post('token', credentials({ client_id: desk.id, client_secret: 'guess' }), {}), ...SOMETHING_MISSING);
    const assertion = {
      client_assertion: 'e30.e30.x', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    };
    refused(await post('token', credentials({ client_id: app.id, ...assertion }), {}), 401, 'invalid_client');
    const own = { grant_type: 'refresh_token', refresh_token: 'x', client_id: desk.id };
    refused(await post('token', own, {}), 400, 'invalid_grant');
    const halves = Object.entries(assertion).map(([name, value]) => ({ [name]: value }));
    for (const given of [assertion, ...halves]) {
      refused(await post('token', { ...own, ...given }, {}), 401, 'invalid_client');
    }
    const encode = (text) => encodeURIComponent(text).replace('_', '%5F');
    ok(await post('token', credentials(), basic(encode(app.id), encode(app.secret))));
  });

  it('that is public has no client credentials', async () => {
    refused(await post('token', credentials(), {}), ...SOMETHING_MISSING);
    const answer = await post('token', credentials({ client_id: desk.id }), {});
    refused(answer, [400, 401], ['unauthorized_client', 'invalid_client']);
  });
});

describe('introspection', () => {
  it('needs a secret', async () => {
    const { access_token: token } = await honest();
    for (const form of [{ token }, { token, client_id: app.id }, { token, client_id: desk.id }]) {
      const answer = await post('introspect', form, {});
      refused(answer, 401, 'invalid_client');
      assert.match(answer.headers['www-authenticate'], /^Basic realm=/i);
    }
    refused(await post('introspect', {}), 400, 'invalid_request');
    const { active, client_id: id } = ok(await app.introspect(token));
    assert.deepEqual([active, id], [true, app.id]);
  });

  it('and revocation tell nothing of what is another\'s, or nothing', async () => {
    const { access_token: token } = await honest();
    const stranger = await App.register(here.server, { name: 'Stranger' });
    const forged = `${token.split('.').slice(0, 2).join('.')}.${random(64)}`;
    const texts = {
      garbage: 'x', 'an empty JWT': '..', forged, '4 kB': 'x'.repeat(4_000), NUL: '\u0000', 'a client id': app.id,
    };
    for (const [name, text] of Object.entries(texts)) {
      assert.deepEqual(ok(await app.introspect(text)), { active: false }, name);
      assert.equal((await app.revoke(text)).status, 200, name);
    }
    assert.deepEqual(ok(await stranger.introspect(token)), { active: false });
    assert.ok([200, 400].includes((await stranger.revoke(token)).status));
    refused(await post('revoke', { token, client_id: app.id }, {}), 401, 'invalid_client');
    assert.equal(ok(await app.introspect(token)).active, true, 'a stranger\'s revocation did nothing');
    assert.equal(ok(await guard.introspect(token)).active, true, 'a resource server sees it');
  });

  it('answers plain JSON that nobody keeps, and nothing that was asked in the address', async () => {
    const { access_token: token } = await honest();
    const accept = 'application/token-introspection+jwt';
    const answer = await post('introspect', { token }, { ...app.credentials, accept });
    assert.equal(ok(answer).active, true);
    assert.match(answer.headers['content-type'], /^application\/json/);
    assert.match(answer.headers['cache-control'], /no-store/);
    const asked = await send(app.at(`/oauth/introspect?token=${token}`), { form: {}, headers: app.credentials });
    refused(asked, 400, 'invalid_request');
  });

  it('and revocation take hints for what they are', async () => {
    const { access_token: token } = await honest();
    for (const hint of ['refresh_token', 'nonsense', 'access_token']) {
      assert.equal(ok(await post('introspect', { token, token_type_hint: hint })).active, true, hint);
    }
    assert.equal((await post('revoke', { token, token_type_hint: 'nonsense' })).status, 200);
    assert.deepEqual(ok(await app.introspect(token)), { active: false });
  });
});
