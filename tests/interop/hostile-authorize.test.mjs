// Authorization requests, pushed and plain, that must be refused: in place where the callback is not trusted, by
// redirect with error, state and iss where it is.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { App, CALLBACK } from './lib/app.mjs';
import { Key, random } from './lib/dpop.mjs';
import { refused, refusedInPlace, send } from './lib/http.mjs';
import { Browser, UNTHROTTLED, world } from './lib/kit.mjs';
import { Watched } from './lib/watched.mjs';

const here = world({ settings: UNTHROTTLED }, prepare);
let app;

async function prepare() {
  app = await App.register(here.server);
}

const parameters = (changes) => Object.entries(app.request({ state: 'state-1', ...changes }).parameters);
const url = (pairs) => app.url(pairs);
const authorize = (changes) => send(url(parameters(changes)));

const FAULTS = [
  ['response_type missing', { response_type: undefined }, 'invalid_request'],
  ['response_type empty', { response_type: '' }, 'invalid_request'],
  ...[
    'token', 'id_token', 'code token', 'code id_token', 'none', 'CODE', 'code code',
  ].map((one) => [`response_type ${one}`, { response_type: one }, 'unsupported_response_type']),
  ['response_mode fragment', { response_mode: 'fragment' }, 'invalid_request'],
  ['response_mode form_post', { response_mode: 'form_post' }, 'invalid_request'],
  ['code_challenge missing', { code_challenge: undefined }, 'invalid_request'],
  ['code_challenge_method missing', { code_challenge_method: undefined }, 'invalid_request'],
  ['code_challenge_method plain', { code_challenge_method: 'plain' }, 'invalid_request'],
  ['code_challenge_method s256', { code_challenge_method: 's256' }, 'invalid_request'],
  ['no PKCE', { code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
  ...[
    random().slice(1), `${random()}A`, random(96), `${random().slice(1)}=`, `${random().slice(1)}+`,
    `${random().slice(1)}/`, `${random().slice(1)}é`, `${random().slice(1)} `,
  ]
    .map((one) => [`code_challenge ${one}`, { code_challenge: one }, 'invalid_request']),
  ...[
    'unknown', 'company:read unknown', 'openid', 'company:write', 'COMPANY:READ', 'company:read\u0000',
    'company:read\tmakepay:payment-links:read', '"company:read"', 'company:read\\',
    'company:read  makepay:payment-links:read', 'é',
  ]
    .map((one) => [`scope ${JSON.stringify(one)}`, { scope: one }, 'invalid_scope']),
  ...[
    'relative', '/api/partner/v1', 'https://evil.example/api', 'http://127.0.0.1/api/partner/v1', '#x',
  ].map((one) => [`resource ${one}`, { resource: one }, 'invalid_target']),
  ['dpop_jkt malformed', { dpop_jkt: 'x' }, 'invalid_request'],
  ['request object', { request: 'eyJhbGciOiJub25lIn0.e30.' }, 'request_not_supported'],
  ['registration', { registration: '{"redirect_uris":["https://evil.example/cb"]}' }, 'registration_not_supported'],
];

describe('an application\'s request with a fault', () => {
  it('comes back to the callback with error, state and iss', async () => {
    for (const [name, change, error] of FAULTS) {
      const answer = await authorize(change);
      assert.ok([302, 303].includes(answer.status), `${name}: ${answer.status} ${answer.text.slice(0, 200)}`);
      const back = new URL(answer.location);
      assert.equal(`${back.origin}${back.pathname}`, CALLBACK, name);
      assert.equal(back.searchParams.get('error'), error, name);
      assert.equal(back.searchParams.get('state'), 'state-1', name);
      assert.equal(back.searchParams.get('iss'), here.server.issuer, name);
      assert.equal(back.searchParams.get('code'), null, name);
    }
  });

  it('is refused when it is pushed', async () => {
    for (const [name, change, error] of FAULTS) refused(await app.push(parameters(change)), 400, error, name);
  });

  it('echoes no empty state, and ignores what it does not know', async () => {
    const { searchParams } = new URL((await authorize({ state: '', response_type: 'token' })).location);
    assert.equal(searchParams.has('state'), false);
    const { code } = await here.browser.approve(url(parameters({ unknown: 'x', claims: '{}', display: 'popup' })));
    assert.match(code, /^mco_code_/);
  });
});

describe('a request whose callback is not to be trusted', () => {
  const unusual = () => {
    const own = ['client_id', app.id];
    const doubled = (name, value) => url([...parameters(), [name, value]]);
    const changed = (change) => url(parameters(change));
    const byReference = (uri) => url([own, ['request_uri', uri]]);
    return {
      'client_id missing': changed({ client_id: undefined }),
      'client_id empty': changed({ client_id: '' }),
      'client_id unknown': changed({ client_id: 'mco_app_unknown' }),
      'client_id malformed': changed({ client_id: "' or 1=1" }),
      'client_id of 30 kB': changed({ client_id: 'x'.repeat(30_000) }),
      'client_id doubled': doubled(...own),
      'redirect_uri doubled': doubled('redirect_uri', CALLBACK),
      'redirect_uri doubled by evil': doubled('redirect_uri', 'https://evil.example/cb'),
      'state with a line break': changed({ state: 'a\r\nX-Evil: 1' }),
      'state with NUL': changed({ state: 'a\u0000' }),
      'state of 16 kB': changed({ state: 'x'.repeat(16_000) }),
      'request_uri unknown': byReference(`urn:ietf:params:oauth:request_uri:${random()}`),
      'request_uri of the web': byReference('http://127.0.0.1:9/x'),
      'request_uri of a file': byReference('file:///etc/passwd'),
      'nothing at all': url([]),
      'invalid percent-encoding': `${changed({})}&x=%zz&state=%ff`,
    };
  };

  it('has nothing fetched that it names', async () => {
    const watched = await Watched.start();
    const own = ['client_id', app.id];
    for (const scheme of ['http', 'https']) {
      const uri = `${scheme}://${watched.host}/x`;
      refusedInPlace(await send(url([own, ['request_uri', uri]])), uri);
      refusedInPlace(await send(url([...parameters(), ['request_uri', uri]])), uri);
      refused(await app.push([...parameters(), ['request_uri', uri]]), 400, 'invalid_request', uri);
      refusedInPlace(await authorize({ redirect_uri: uri }), uri);
      refused(await app.push(parameters({ redirect_uri: uri })), 400, 'invalid_request', uri);
      assert.equal(new URL((await authorize({ resource: uri })).location).searchParams.get('error'), 'invalid_target');
    }
    const named = { registration: `http://${watched.host}/r`, client_uri: `http://${watched.host}/c` };
    await here.browser.approve(url(parameters(named)));
    assert.equal(await watched.visits(), 0);
    watched.stop();
  });

  it('of a client that is unknown says no more than that', async () => {
    const gone = await App.register(here.server, { name: 'Gone' });
    await here.server.operator(['app', 'remove', gone.id, '--yes']);
    const pages = new Set();
    for (const id of [
      gone.id, 'mco_app_unknown', `${app.id}x`, app.id.slice(0, -1), app.id.toUpperCase(), "' or 1=1", 'x'.repeat(5_000), '\u0000',
      ` ${app.id}`, '../', '%00',
    ]) {
      const answer = await authorize({ client_id: id });
      refusedInPlace(answer, id.slice(0, 30));
      pages.add(answer.text);
    }
    assert.equal(pages.size, 1, [...pages].join('\n'));
    const { code } = await here.browser.approve(url(parameters()));
    assert.match(code, /^mco_code_/);
  });

  it('stays on our own page', async () => {
    for (const [name, target] of Object.entries(unusual())) {
      const answer = await send(target);
      if (answer.status !== 414 && answer.status !== 431) refusedInPlace(answer, name);
      assert.equal(answer.headers['x-evil'], undefined, name);
    }
  });

  it('with a doubled parameter tells no value of it', async () => {
    for (const name of ['state', 'scope', 'response_type', 'code_challenge', 'code_challenge_method', 'dpop_jkt']) {
      const answer = await send(url([...parameters({ dpop_jkt: new Key().jkt }), [name, 'doubled-value']]));
      const where = answer.location ? new URL(answer.location).searchParams : undefined;
      assert.ok(
        answer.status === 400 || where?.get('error') === 'invalid_request',
        `${name}: ${answer.status} ${answer.location}`,
      );
      assert.ok(!(answer.location ?? '').includes('doubled-value'), name);
      if (name === 'state') assert.equal(where?.get('state') ?? null, null);
    }
    refused(await app.push([...parameters(), ['state', 'x']]), 400, 'invalid_request');
  });

  it('escapes what it shows and forbids scripts', async () => {
    for (const change of [
      { client_id: '<script>alert(1)</script>' }, { redirect_uri: 'https://evil.example/"><script>alert(1)</script>' },
      { client_id: undefined, error_description: '<script>' },
    ]) {
      const answer = await authorize(change);
      assert.doesNotMatch(answer.text, /<script>alert/);
      const policy = answer.headers['content-security-policy'];
      assert.match(policy, /frame-ancestors 'none'/);
      assert.doesNotMatch(policy, /script-src[^;]*'unsafe-inline'/);
      assert.match(answer.headers['cache-control'], /no-store/);
      assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    }
  });
});

describe('without a session', () => {
  it('the sign-in page comes first, and nothing is decided by GET', async () => {
    const fresh = new Browser(here.merchant);
    for (const decision of ['approve', 'deny']) {
      const page = await fresh.visit(`${url(parameters())}&decision=${decision}`);
      assert.equal(page.left, undefined);
      assert.equal(page.answer.status, 200);
    }
    await here.browser.approve(url(parameters()));
    const page = await here.browser.visit(`${url(parameters())}&decision=approve`);
    assert.equal(page.left, undefined);
  });
});
