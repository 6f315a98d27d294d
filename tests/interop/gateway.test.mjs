// Gateway mode: a real API behind the guard, called by a store and by a partner application; what must never reach it,
// and what it is told of who calls.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';

import { App } from './lib/app.mjs';
import { Key } from './lib/dpop.mjs';
import { challenged, ok, refused, send } from './lib/http.mjs';
import { Browser, Server, UNTHROTTLED } from './lib/kit.mjs';
import { PLATFORMS, Store } from './lib/native.mjs';
import { Daemon, SERVER_BIN, SHUT_PORT, freePort, run } from './lib/processes.mjs';
import { Upstream } from './lib/upstream.mjs';

const LIMITS = 'max_body = 200000\nmax_signed_body = 1000\nmax_answer = 100000\nconnect_seconds = 60\nanswer_seconds = 60\n';
const here = {};

const settings = (orders, shut, metrics) => `metrics_listen = "127.0.0.1:${metrics}"
${UNTHROTTLED}
[[upstream]]
name = "orders"
prefix = "/v1/orders"
url = "${orders}/inner/orders"
${LIMITS}
[[upstream.rules]]
methods = ["GET"]
scopes = ["makepay:payment-links:read"]

[[upstream.rules]]
methods = ["POST", "PUT"]
scopes = ["makepay:payment-links:write"]

[[upstream.rules]]
methods = ["POST"]
path = "*/refund"
scopes = ["orders:refund", "makepay:payment-links:write"]

[upstream.scopes]
"orders:refund" = "Refund your orders"

[[upstream]]
name = "below"
prefix = "/api/partner/v1/orders"
url = "${orders}/below"
rules = [{ methods = ["POST"], scopes = ["makepay:payment-links:write"] }]

[[upstream]]
name = "shut"
prefix = "/v1/shut"
url = "http://127.0.0.1:${shut}"
rules = [{ methods = ["GET", "POST"], scopes = ["makepay:payment-links:read"] }]
`;

/** The keys that a server publishes, asked for afresh. */
const keysOf = ({ issuer }) => createRemoteJWKSet(new URL(`${issuer}/oauth/jwks.json`), { timeoutDuration: 60_000 });

before(async () => {
  here.upstream = await Upstream.start();
  here.metrics = await freePort();
  here.server = await Server.start({ settings: settings(here.upstream.url, SHUT_PORT, here.metrics) });
  const { server } = here;
  await server.company('Nordwind Trading');
  here.merchant = await server.person('merchant@shop.example', 'Nordwind Trading');
  here.browser = new Browser(here.merchant);
  here.store = new Store(server, 'wordpress');
  await here.store.connect(here.browser);
  const scopes = ['makepay:payment-links:read', 'orders:refund', 'makepay:payment-links:write'];
  const made = await server.operator([
    '--config', server.config, 'app', 'add', '--name', 'Ledger', '--company', 'Nordwind Trading', '--redirect-uri',
    'https://app.example/cb', ...scopes.flatMap((scope) => ['--scope', scope]),
  ]);
  here.app = Object.assign(new App(), {
    issuer: server.issuer, id: made.client_id, secret: made.client_secret, redirectUri: 'https://app.example/cb', scopes,
  });
  here.bearer = ok(await here.app.token(await here.app.authorize(here.browser)));
  here.keys = keysOf(server);
});

after(async () => {
  await here.server?.stop();
  await here.upstream?.stop();
});

/** One call by the store. */
function byStore(method, path, { json, body, headers, proof, token = here.store.tokens.access_token, ...rest } = {}) {
  const url = here.store.at(path);
  return send(url, {
    method, json, body, ...rest,
    headers: {
      authorization: `DPoP ${token}`,
      dpop: proof === undefined ? here.store.key.proof(method, url, { token }) : proof ?? undefined, ...headers,
    },
  });
}

/** One call by the partner application. */
function byApp(method, path, { headers, ...rest } = {}) {
  return send(`${here.server.issuer}${path}`, {
    method, ...rest, headers: { authorization: `Bearer ${here.bearer.access_token}`, ...headers },
  });
}

const base64url = (text) => createHash('sha256').update(text).digest('base64url');

/** The identity that came with a request, verified from the published keys alone. */
async function identityOf(seen, { aud = 'orders' } = {}) {
  const given = seen.rawHeaders.filter((name, at) => at % 2 === 0 && /^counterfoil/i.test(name));
  assert.equal(given.length, 1);
  const token = seen.headers['counterfoil-identity'];
  assert.equal(decodeProtectedHeader(token).typ, 'counterfoil-identity+jwt');
  const { payload } = await jwtVerify(token, here.keys, {
    issuer: here.server.issuer, audience: aud, typ: 'counterfoil-identity+jwt', algorithms: ['ES256'],
    requiredClaims: ['exp', 'iat', 'jti', 'client_id', 'company_id', 'scope'], maxTokenAge: 60,
  });
  const [path, query = ''] = seen.url.split(/\?(.*)/s);
  assert.equal(payload.htm, seen.method);
  assert.equal(payload.path, path);
  assert.equal(payload.query_sha256, base64url(query));
  return payload;
}

const digest = (body) => `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;

/** Nothing has reached the API. */
const untouched = (note) => assert.deepEqual(here.upstream.taken().map(({ method, url }) => `${method} ${url}`), [], note);

describe('who may', () => {
  it('forwards a store, who is named in a signed header', async () => {
    here.upstream.answers = () => ({ status: 201, headers: { 'x-order': '7', 'content-type': 'text/plain' }, body: 'made' });
    const answer = await byStore('POST', '/v1/orders/7?a=%2e%2E&b', {
      json: { amount: 1 }, headers: { 'idempotency-key': 'key-12345', 'if-match': '"1"', 'x-own': 'kept' },
    });
    assert.deepEqual([answer.status, answer.text, answer.headers['x-order']], [201, 'made', '7']);
    const [seen] = here.upstream.taken();
    assert.deepEqual([seen.method, seen.url], ['POST', '/inner/orders/7?a=%2e%2E&b']);
    assert.equal(seen.body.toString(), '{"amount":1}');
    for (const [name, value] of Object.entries({
      'idempotency-key': 'key-12345', 'if-match': '"1"', 'x-own': 'kept', host: new URL(here.upstream.url).host,
      'content-length': '12', 'content-type': 'application/json', via: '1.1 counterfoil', authorization: undefined,
      dpop: undefined, cookie: undefined,
    })) assert.equal(seen.headers[name], value, name);
    const identity = await identityOf(seen);
    const { claims } = here.store;
    for (const name of ['client_id', 'installation_id', 'company_id', 'grant_id', 'sub']) assert.equal(
      identity[name], claims[name], name,
    );
    assert.equal(identity.scope, claims.scope);
    assert.deepEqual(identity.cnf, claims.cnf);
    assert.equal(identity.token_id, claims.jti);
    assert.equal(identity.content_digest, digest('{"amount":1}'));
    assert.equal(identity.exp - identity.iat, 60);
    assert.equal(identity.ip, '127.0.0.1');
  });

  it('forwards a partner application with a bearer token', async () => {
    here.upstream.answers = undefined;
    for (const method of ['GET', 'HEAD']) {
      const answer = await byApp(method, '/v1/orders', { headers: { cookie: 'a=b' } });
      assert.deepEqual([answer.status, answer.text], [200, method === 'GET' ? 'fine' : '']);
      const [seen] = here.upstream.taken();
      assert.deepEqual([seen.method, seen.url, seen.headers.cookie], [method, '/inner/orders', undefined]);
      const identity = await identityOf(seen);
      assert.deepEqual([identity.client_id, identity.cnf, identity.installation_id], [here.app.id, undefined, undefined]);
      assert.equal(identity.content_digest, digest(''));
    }
    assert.equal((await byApp('POST', '/v1/orders/7/refund')).status, 200);
    here.upstream.taken();
  });

  it('knows every name once', async () => {
    here.upstream.answers = undefined;
    const names = new Set();
    for (let call = 0; call < 3; call += 1) {
      await byApp('GET', '/v1/orders');
      names.add((await identityOf(here.upstream.taken()[0])).jti);
    }
    assert.equal(names.size, 3);
  });

  it('refuses before a byte reaches the API', async () => {
    const { store } = here;
    const url = store.at('/v1/orders');
    const token = store.tokens.access_token;
    const other = new Key();
    for (const path of ['/v1/orders', '/v1/orders/nothing', '/v1/orders/a/../b', '/v1/shut']) {
      challenged(await send(here.server.issuer, { target: path }), undefined, path);
      refused(await send(here.server.issuer, { target: path, headers: { authorization: 'Bearer x.y.z' } }), 401, 'invalid_token', path);
    }
    challenged(await byStore('GET', '/v1/orders', { proof: null }), 'invalid_dpop_proof');
    challenged(await byStore('GET', '/v1/orders', { proof: store.key.proof('POST', url, { token }) }), 'invalid_dpop_proof');
    challenged(await byStore('GET', '/v1/orders', { proof: store.key.proof('GET', `${url}/7`, { token }) }), 'invalid_dpop_proof');
    challenged(await byStore('GET', '/v1/orders', { proof: store.key.proof('GET', `${here.upstream.url}/inner/orders`, { token }) }), 'invalid_dpop_proof');
    challenged(await byStore('GET', '/v1/orders', { proof: other.proof('GET', url, { token }) }), 'invalid_token');
    challenged(await byStore('GET', '/v1/orders', { headers: { authorization: `Bearer ${token}` } }), 'invalid_token');
    challenged(await byApp('GET', '/v1/orders', { headers: { authorization: `DPoP ${here.bearer.access_token}` } }), 'invalid_token');
    const proof = store.key.proof('GET', url, { token });
    here.upstream.answers = undefined;
    assert.equal((await byStore('GET', '/v1/orders', { proof })).status, 200);
    assert.equal(here.upstream.taken().length, 1);
    challenged(await byStore('GET', '/v1/orders', { proof }), 'invalid_dpop_proof', 'played again');
    refused(await byApp('GET', '/v1/orders?access_token=x'), 400, 'invalid_request');
    refused(await byApp('GET', '/v1/orders', { headers: { 'x-api-key': 'k' } }), 400, 'invalid_request');
    untouched('refused');
  });

  it('refuses what no rule names', async () => {
    const denied = await byStore('POST', '/v1/orders/7/refund');
    refused(denied, 403, 'insufficient_scope');
    assert.match(denied.headers['www-authenticate'], /error="insufficient_scope", scope="orders:refund makepay:payment-links:write"/);
    assert.equal(denied.json.error_description, 'The access token does not have the scope orders:refund.');
    const other = await byStore('DELETE', '/v1/orders/7');
    refused(other, 405, 'method_not_allowed');
    assert.equal(other.headers.allow, 'GET, HEAD, POST, PUT');
    refused(await byStore('GET', '/v1/orders2'), 404, 'not_found');
    refused(await byStore('GET', '/v1'), 404, 'not_found');
    refused(await byApp('TRACE', '/v1/orders'), 405, 'method_not_allowed');
    untouched('not named');
  });

  it('refuses an identity as an access token, and an access token is no identity', async () => {
    here.upstream.answers = undefined;
    await byApp('GET', '/v1/orders');
    const identity = here.upstream.taken()[0].headers['counterfoil-identity'];
    for (const scheme of ['Bearer', 'DPoP']) {
      refused(await byApp('GET', '/v1/orders', { headers: { authorization: `${scheme} ${identity}` } }), 401, 'invalid_token');
    }
    const asked = { issuer: here.server.issuer, typ: 'counterfoil-identity+jwt' };
    await assert.rejects(jwtVerify(here.bearer.access_token, here.keys, asked), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' });
    untouched('an identity');
  });
});

describe('a store with a daemon', () => {
  it('has calls forwarded that its file names', async () => {
    const site = `https://shop-${process.pid}-daemon.example`;
    const daemon = await Daemon.start({
      platform: 'wordpress', site_url: site, redirect_uri: PLATFORMS.wordpress.callback(site), plugin_version: '1.0.0',
      platform_version: '6.8', issuer: here.server.issuer,
    }, { more: '[[local.calls]]\nmethods = ["POST"]\npath = "orders/*"\n' });
    try {
      const { authorization_url: url } = ok(await daemon.local('POST', '/v1/connect', { json: {} }));
      const { callback } = await here.browser.approve(url);
      ok(await daemon.local('POST', '/v1/callback', { json: { query: new URL(callback).search.slice(1) } }));
      here.upstream.answers = () => ({ status: 201, body: 'made' });
      const answer = await daemon.local('POST', '/v1/api/orders/7?a', { json: { amount: 1 } });
      assert.deepEqual([answer.status, answer.text], [201, 'made']);
      const [seen] = here.upstream.taken();
      assert.deepEqual([seen.method, seen.url], ['POST', '/below/7?a']);
      const identity = await identityOf(seen, { aud: 'below' });
      assert.equal(identity.installation_id, identity.client_id);
      assert.ok(identity.cnf.jkt);
      for (const [method, path, status] of [['DELETE', 'orders/7', 405], ['POST', 'orders', 403], ['POST', 'orders/7/8', 403]]) {
        assert.equal((await daemon.local(method, `/v1/api/${path}`)).status, status, `${method} ${path}`);
      }
      untouched('not on the list');
    } finally {
      await daemon.stop();
    }
  });
});

describe('what people and operators see', () => {
  it('the words of its scopes stand where a merchant approves, and in the metadata', async () => {
    const { url } = here.app.request();
    const page = await here.browser.reachConsent(url);
    assert.match(page.answer.text, /Refund your orders/);
    for (const document of ['oauth-authorization-server', 'oauth-protected-resource']) {
      const { scopes_supported: scopes } = ok(await send(here.app.at(`/.well-known/${document}`)));
      assert.ok(scopes.includes('orders:refund'), document);
    }
  });

  it('calls are counted by upstream and outcome, and logged without secrets', async () => {
    here.upstream.answers = () => ({ status: 404 });
    await byStore('GET', '/v1/orders/7?secret=canary');
    refused(await byStore('GET', '/v1/shut'), 502, 'upstream_unreachable');
    const metrics = (await send(`http://127.0.0.1:${here.metrics}/metrics`)).text;
    assert.match(metrics, /^counterfoil_upstream_requests_total\{upstream="orders",outcome="4xx"\} 1$/m);
    assert.match(metrics, /^counterfoil_upstream_requests_total\{upstream="shut",outcome="unreachable"\} 1$/m);
    assert.match(metrics, /^counterfoil_upstream_seconds_count\{upstream="orders"\} \d+$/m);
    assert.match(metrics, /route="\/v1\/orders\/\{\*rest\}"/);
    assert.doesNotMatch(metrics, /orders\/7/);
    const log = readFileSync(here.server.process.log, 'utf8');
    assert.match(log, /forwarded.*upstream="orders".*method="GET".*path="\/v1\/orders\/7".*status=404/);
    assert.doesNotMatch(log, /canary|eyJ/);
    here.upstream.taken();
  });

  it('settings that cannot work are named', async () => {
    const bad = join(here.server.directory.path, 'bad.toml');
    for (const [change, words] of [
      [(text) => text.replace('methods = ["POST", "PUT"]', 'methods = ["GET", "PUT"]'), /upstream "orders": rules 1 and 2 both fit GET/],
      [(text) => text.replace('prefix = "/v1/shut"', 'prefix = "/v1/orders/shut"'), /upstream "shut": prefix .* overlap/],
      [(text) => text.replace('prefix = "/v1/shut"', 'prefix = "/oauth"'), /upstream "shut": prefix "\/oauth" is this server's own/],
      [(text) => text.replace('"orders:refund" = "Refund your orders"', ''), /upstream "orders": say what the scope "orders:refund" allows/],
      [(text) => text.replace('"orders:refund" =', '"company:read" ='), /say what the scope|this server's own/],
      [(text) => text.replace('max_answer', 'max_answers'), /unknown field `max_answers`/],
    ]) {
      writeFileSync(bad, change(readFileSync(here.server.config, 'utf8')));
      const { code, stdout } = await run(SERVER_BIN, ['--config', bad, '--data-dir', here.server.dataDir, 'check']);
      assert.equal(code, 1);
      assert.match(stdout, words);
    }
    const good = await run(SERVER_BIN, ['--config', here.server.config, '--data-dir', here.server.dataDir, 'check']);
    assert.match(good.stdout, /ok {2}upstreams: orders at \/v1\/orders, below at \/api\/partner\/v1\/orders, shut at \/v1\/shut/);
  });
});

describe('what changes', () => {
  it('a key that is rotated away signs no more identities, and the new one is published', async () => {
    here.upstream.answers = undefined;
    const kid = async () => {
      assert.equal((await byApp('GET', '/v1/orders')).status, 200);
      const [seen] = here.upstream.taken();
      const token = seen.headers['counterfoil-identity'];
      await jwtVerify(token, keysOf(here.server), { audience: 'orders' });
      return decodeProtectedHeader(token).kid;
    };
    const former = await kid();
    await here.server.operator(['key', 'rotate', '--now']);
    assert.notEqual(await kid(), former);
  });

  it('a token that is revoked opens nothing', async () => {
    assert.equal((await here.app.revoke(here.bearer.refresh_token)).status, 200);
    refused(await byApp('GET', '/v1/orders'), 401, 'invalid_token');
    untouched('revoked');
    assert.equal((await byStore('GET', '/v1/orders')).status, 200);
  });
});
