// Authorization requests, pushed and plain, that must be refused: in place where the callback is not trusted, by
// redirect with error, state and iss where it is.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';

import { Key, pkce, random } from './lib/dpop.mjs';
import { ok, refused, refusedInPlace, send } from './lib/http.mjs';
import { Browser, UNTHROTTLED, world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world({ settings: UNTHROTTLED });
const CALLBACK = 'https://app.example/cb';
const SCOPES = ['company:read', 'makepay:payment-links:read'];
let app;
let desk;

before(async () => {
  app = await here.server.app('Ledger', 'Nordwind Trading', { redirectUris: [CALLBACK], scopes: SCOPES });
  desk = await here.server.app('Desk', 'Nordwind Trading', {
    redirectUris: [CALLBACK], scopes: SCOPES, flags: ['--public'],
  });
});

const parameters = (changes, client = app) => {
  const all = {
    response_type: 'code', client_id: client.client_id, redirect_uri: CALLBACK, scope: SCOPES.join(' '), state: 'state-1',
    code_challenge: pkce().challenge, code_challenge_method: 'S256', ...changes,
  };
  return Object.entries(all).filter(([, value]) => value !== undefined);
};
const url = (pairs) => `${here.server.issuer}/oauth/authorize?${new URLSearchParams(pairs)}`;
const authorize = (changes, client) => send(url(parameters(changes, client)));
const push = (pairs, client = app, headers = {}) => send(`${here.server.issuer}/oauth/par`, {
  form: pairs, headers: { ...(client.client_secret && basic(client)), ...headers },
});

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
    for (const [name, change, error] of FAULTS) refused(await push(parameters(change)), 400, error, name);
  });

  it('echoes no empty state, and ignores what it does not know', async () => {
    const { searchParams } = new URL((await authorize({ state: '', response_type: 'token' })).location);
    assert.equal(searchParams.has('state'), false);
    const { code } = await here.browser.approve(url(parameters({ unknown: 'x', claims: '{}', display: 'popup' })));
    assert.match(code, /^mco_code_/);
  });
});

describe('a request whose callback is not to be trusted', () => {
  it('stays on our own page', async () => {
    const doubled = (name, value) => url([...parameters(), [name, value]]);
    for (const [name, target] of Object.entries({
      'client_id missing': url(parameters({ client_id: undefined })), 'client_id empty': url(parameters({ client_id: '' })),
      'client_id unknown': url(parameters({ client_id: 'mco_app_unknown' })), 'client_id malformed': url(parameters({ client_id: "' or 1=1" })),
      'client_id of 64 kB': url(parameters({ client_id: 'x'.repeat(32_000) })), 'client_id doubled': doubled('client_id', app.client_id),
      'redirect_uri doubled': doubled('redirect_uri', CALLBACK), 'redirect_uri doubled by evil': doubled(
        'redirect_uri', 'https://evil.example/cb',
      ),
      'state with a line break': url(parameters({ state: 'a\r\nX-Evil: 1' })), 'state with NUL': url(parameters({ state: 'a\u0000' })), 'state of 16 kB': url(parameters({ state: 'x'.repeat(16_000) })),
      'request_uri unknown': url([
        ['client_id', app.client_id], ['request_uri', `urn:ietf:params:oauth:request_uri:${random()}`],
      ]),
      'request_uri of the web': url([
        ['client_id', app.client_id], ['request_uri', 'http://127.0.0.1:9/x'],
      ]), 'request_uri of a file': url([['client_id', app.client_id], ['request_uri', 'file:///etc/passwd']]),
      'nothing at all': url([]), 'invalid percent-encoding': `${url(parameters())}&x=%zz&state=%ff`,
    })) {
      const answer = await send(target);
      if (answer.status === 414 || answer.status === 431) continue;
      refusedInPlace(answer, name);
      assert.equal(answer.headers['x-evil'], undefined);
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
    refused(await push([...parameters(), ['state', 'x']]), 400, 'invalid_request');
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

describe('a pushed request', () => {
  const pushed = async (changes, client) => {
    const answer = await push(parameters(changes, client), client);
    const body = ok(answer, 201);
    assert.match(body.request_uri, /^urn:ietf:params:oauth:request_uri:[A-Za-z0-9_-]{22,}$/);
    assert.ok(body.expires_in >= 5 && body.expires_in < 600);
    assert.match(answer.headers['cache-control'], /no-store/);
    return body.request_uri;
  };
  const opened = (uri, client = app, more = []) => url([
    ['client_id', client.client_id], ['request_uri', uri], ...more,
  ]);

  it('carries its own parameters and none of the browser\'s', async () => {
    const uri = await pushed({ state: 'pushed' });
    const page = await here.browser.reachConsent(opened(uri, app, [
      ['redirect_uri', 'https://evil.example/cb'], ['scope', 'admin'], ['state', 'query'],
    ]));
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
    refusedInPlace(await send(url([['request_uri', uri]])));
    await here.browser.approve(opened(uri));
  });

  it('is made by a client that proves itself', async () => {
    refused(await push(parameters(), {}), 401, 'invalid_client');
    refused(await push(parameters(), { ...app, client_secret: 'wrong' }), 401, 'invalid_client');
    refused(await push(parameters({}, desk), app), [400, 401], ['invalid_request', 'invalid_client']);
    refused(await push(parameters({ client_id: 'mco_app_unknown' }), {}), 401, 'invalid_client');
    await pushed({}, desk);
  });

  it('names no request_uri itself', async () => {
    refused(await push([...parameters(), ['request_uri', await pushed()]]), 400, 'invalid_request');
  });

  it('binds to the key of its proof, which dpop_jkt may only repeat', async () => {
    const [key, other] = [new Key(), new Key()];
    const par = `${here.server.issuer}/oauth/par`;
    refused(
      await push(parameters({ dpop_jkt: other.jkt }), app, { dpop: key.proof('POST', par) }), 400,
      ['invalid_dpop_proof', 'invalid_request'],
    );
    ok(await push(parameters({ dpop_jkt: key.jkt }), app, { dpop: key.proof('POST', par) }), 201);
  });

  it('of a store needs the proof of a key it registered', async () => {
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
