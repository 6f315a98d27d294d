// What the server says of itself, and that it is true.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { ok, refused, send } from './lib/http.mjs';
import { world } from './lib/kit.mjs';
import { PLATFORMS, Store } from './lib/native.mjs';

const here = world();
const document = async (path) => ok(await send(`${here.server.issuer}${path}`));
const server = () => document('/.well-known/oauth-authorization-server');
const names = new Set(Object.values(PLATFORMS).flatMap(({ scopes }) => scopes));

const DOCUMENTS = [
  '/.well-known/oauth-authorization-server', '/.well-known/oauth-protected-resource',
  '/.well-known/oauth-protected-resource/api/partner/v1', '/oauth/jwks.json',
];

describe('what everybody may read', () => {
  it('is JSON that every site and every cache may have', async () => {
    for (const path of DOCUMENTS) {
      for (const headers of [{}, { origin: 'https://any.example' }, { origin: 'null' }]) {
        const answer = await send(`${here.server.issuer}${path}`, { headers });
        ok(answer, 200, path);
        assert.equal(answer.headers['content-type'], 'application/json', path);
        assert.match(answer.headers['cache-control'], /^public, max-age=[1-9]\d*$/, path);
        assert.equal(answer.headers['access-control-allow-origin'], '*', path);
        assert.equal(answer.headers['access-control-allow-credentials'], undefined, path);
        assert.equal(answer.headers['set-cookie'], undefined, path);
      }
    }
  });

  it('is that alone', async () => {
    const app = await App.register(here.server);
    const others = [
      ...['/', '/sign-in', '/account', '/healthz', '/api/partner/v1/company', '/unknown'].map((path) => [path, {}]),
      [new URL(app.request().url).pathname, {}],
      ...['token', 'par', 'revoke', 'introspect'].flatMap((endpoint) => [
        [`/oauth/${endpoint}`, {}],
        [`/oauth/${endpoint}`, { form: { ...app.request().parameters, grant_type: 'client_credentials', token: 'x' }, headers: app.credentials }],
      ]),
    ];
    for (const [path, { headers, ...request }] of others) {
      const answer = await send(`${here.server.issuer}${path}`, {
        ...request, headers: { origin: 'https://any.example', ...headers },
      });
      assert.doesNotMatch(answer.headers['cache-control'] ?? '', /public|max-age/, path);
      assert.equal(answer.headers['access-control-allow-origin'], undefined, path);
    }
  });
});

describe('the authorization server\'s metadata', () => {
  it('names endpoints of the issuer, plainly', async () => {
    const metadata = await server();
    assert.equal(metadata.issuer, here.server.issuer);
    for (const [name, path] of Object.entries({
      authorization_endpoint: '/oauth/authorize', token_endpoint: '/oauth/token', jwks_uri: '/oauth/jwks.json',
      pushed_authorization_request_endpoint: '/oauth/par', revocation_endpoint: '/oauth/revoke',
      introspection_endpoint: '/oauth/introspect', native_installation_endpoint: '/oauth/native/installations',
    })) assert.equal(metadata[name], `${here.server.issuer}${path}`, name);
    const endpoints = Object.entries(metadata).filter(([name]) => /_endpoint$|^jwks_uri$/.test(name));
    assert.ok(endpoints.length >= 7, endpoints.map(([name]) => name).join(' '));
    for (const [name, value] of endpoints) {
      const url = new URL(value);
      assert.equal(url.href, value, name);
      assert.equal(url.origin, here.server.issuer, name);
      assert.deepEqual([url.username, url.search, url.hash], ['', '', ''], name);
    }
  });

  it('says what is supported, and no more', async () => {
    const metadata = await server();
    assert.deepEqual(metadata.code_challenge_methods_supported, ['S256']);
    assert.deepEqual(metadata.response_types_supported, ['code']);
    assert.deepEqual(metadata.response_modes_supported, ['query']);
    assert.deepEqual(metadata.dpop_signing_alg_values_supported, ['ES256']);
    assert.equal(metadata.authorization_response_iss_parameter_supported, true);
    for (const name of ['token', 'introspection', 'revocation']) {
      const methods = metadata[`${name}_endpoint_auth_methods_supported`];
      for (const method of ['client_secret_basic', 'client_secret_post']) assert.ok(methods.includes(method), name);
      for (const method of methods) assert.ok(
        ['client_secret_basic', 'client_secret_post', 'none'].includes(method), method,
      );
    }
    assert.ok(!metadata.introspection_endpoint_auth_methods_supported.includes('none'));
    for (const scope of names) assert.ok(metadata.scopes_supported.includes(scope), scope);
    for (const grant of metadata.grant_types_supported) {
      const answer = await send(metadata.token_endpoint, { form: { grant_type: grant } });
      assert.notEqual(answer.json.error, 'unsupported_grant_type', grant);
    }
    assert.ok(metadata.grant_types_supported.length >= 3);
  });

  it('offers every scope that it names', async () => {
    const { scopes_supported: scopes } = await server();
    const app = await App.register(here.server, { scopes });
    const { scope } = ok(await app.token(await app.authorize(here.browser)));
    assert.deepEqual((scope ?? scopes.join(' ')).split(' ').sort(), [...scopes].sort());
  });

  it('is the same by every name of the host', async () => {
    const metadata = await server();
    const seen = await send(
      `${here.server.address}/.well-known/oauth-authorization-server`, { headers: { host: 'evil.example' } },
    );
    if (seen.status === 200) assert.deepEqual(seen.json, metadata);
  });

  it('has the issuer that tokens and callbacks have', async () => {
    const app = await App.register(here.server);
    const { url } = app.request();
    const { iss } = await here.browser.approve(url);
    const { access_token: token } = ok(await app.token({ grant_type: 'client_credentials' }));
    const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
    const { issuer } = await server();
    const { authorization_servers: servers } = await document('/.well-known/oauth-protected-resource');
    assert.deepEqual([iss, claims.iss, issuer, ...servers], Array(4).fill(here.server.issuer));
  });
});

describe('the resource\'s metadata', () => {
  it('is at both of its places', async () => {
    const plain = await document('/.well-known/oauth-protected-resource');
    const placed = await document('/.well-known/oauth-protected-resource/api/partner/v1');
    assert.deepEqual(placed, plain);
    assert.equal(plain.resource, here.server.audience);
    assert.deepEqual(plain.authorization_servers, [here.server.issuer]);
    assert.deepEqual(plain.bearer_methods_supported, ['header']);
    assert.deepEqual(plain.dpop_signing_alg_values_supported, ['ES256']);
    for (const scope of names) assert.ok(plain.scopes_supported.includes(scope), scope);
    for (const path of ['/api', '/api/partner/v2', '/x', '/api/partner/v1/']) {
      assert.equal((await send(`${here.server.issuer}/.well-known/oauth-protected-resource${path}`)).status, 404, path);
    }
  });
});

describe('health', () => {
  it('is told to everybody, and nothing else is', async () => {
    assert.equal((await send(`${here.server.issuer}/healthz`)).status, 200);
    const shop = new Store(here.server, 'wordpress');
    await shop.connect(here.browser);
    for (const path of [
      '/', '/metrics', '/debug', '/api', '/api/partner/v1', '/.git/config', '/assets/../Cargo.toml', '/assets/%2e%2e/x',
    ]) {
      const answer = await send(here.server.issuer, { target: path });
      assert.ok(answer.status < 500, `${path}: ${answer.status}`);
      assert.ok(!answer.text.includes(shop.registrationId) && !answer.text.includes(shop.tokens.refresh_token), path);
    }
    refused(await send(`${here.server.issuer}/unknown`), 404, 'not_found');
  });
});
