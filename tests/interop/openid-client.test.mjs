// openid-client, a certified relying party that we did not write, and jose for the tokens: discovery, pushed requests,
// DPoP, callbacks with iss, refresh, introspection, revocation, client credentials.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as client from 'openid-client';

import { UNTHROTTLED, world } from './lib/kit.mjs';

// Idle connections are the client's to end: a request could meet the server's end of one.
const here = world({ settings: `${UNTHROTTLED}head_seconds = 120\n` }, prepare);
const SCOPE = 'company:read makepay:payment-links:read makepay:payment-links:write';
const WEB = 'https://app.example/cb';
const DESK = 'http://127.0.0.1/cb';
let guard;
const kinds = {};

async function configure({ client_id: id }, authentication) {
  return client.discovery(new URL(here.server.issuer), id, undefined, authentication, {
    algorithm: 'oauth2', execute: [client.allowInsecureRequests],
  });
}

async function prepare() {
  const app = (name, options) => here.server.app(name, 'Nordwind Trading', { scopes: SCOPE.split(' '), ...options });
  const web = await app('Ledger', { redirectUris: [WEB] });
  const desk = await app('Desk', { redirectUris: [DESK], flags: ['--public'] });
  const api = await here.server.app('Guard', 'Nordwind Trading', { flags: ['--resource-server'] });
  kinds['a confidential application, client_secret_basic'] = {
    config: await configure(web, client.ClientSecretBasic(web.client_secret)), id: web.client_id, callback: WEB,
    secret: true,
  };
  kinds['a confidential application, client_secret_post'] = {
    config: await configure(web, client.ClientSecretPost(web.client_secret)), id: web.client_id, callback: WEB,
    secret: true,
  };
  kinds['a public application'] = {
    config: await configure(desk, client.None()), id: desk.client_id, callback: 'http://127.0.0.1:51004/cb',
    secret: false,
  };
  guard = await configure(api, client.ClientSecretBasic(api.client_secret));
}

const links = () => new URL(`${here.server.audience}/makepay/payment-links`);

async function dpop(config) {
  return { DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')) };
}

/** Pushes, lets the merchant approve, and redeems, checking state, iss and PKCE on the way. */
async function connect({ config, callback }, options, { push = true, resource } = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const parameters = {
    redirect_uri: callback, scope: SCOPE, state, code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...(resource && { resource }),
    ...(options?.DPoP && !push && { dpop_jkt: await options.DPoP.calculateThumbprint() }),
  };
  const url = push
    ? await client.buildAuthorizationUrlWithPAR(config, parameters, options)
    : client.buildAuthorizationUrl(config, parameters);
  const { callback: location } = await here.browser.approve(url.href);
  return client.authorizationCodeGrant(
    config, new URL(location), { pkceCodeVerifier: verifier, expectedState: state }, undefined, options,
  );
}

async function verify(token) {
  const keys = createRemoteJWKSet(new URL(`${here.server.issuer}/oauth/jwks.json`), { timeoutDuration: 60_000 });
  return jwtVerify(token, keys, { issuer: here.server.issuer, audience: here.server.audience, typ: 'at+jwt' });
}

const NAMES = [
  'a confidential application, client_secret_basic', 'a confidential application, client_secret_post',
  'a public application',
];

for (const name of NAMES) {
  describe(name, () => {
    it('discovers', () => {
      const metadata = kinds[name].config.serverMetadata();
      assert.equal(metadata.issuer, here.server.issuer);
      assert.ok(metadata.supportsPKCE('S256'));
      for (const method of ['client_secret_basic', 'client_secret_post', 'none']) assert.ok(
        metadata.token_endpoint_auth_methods_supported.includes(method), method,
      );
      for (const endpoint of [
        'pushed_authorization_request_endpoint', 'introspection_endpoint', 'revocation_endpoint',
      ]) {
        assert.equal(new URL(metadata[endpoint]).origin, here.server.issuer, endpoint);
      }
    });

    for (const push of [true, false]) {
      it(`connects with DPoP, ${push ? 'pushed' : 'plain'}, calls the API and refreshes`, async () => {
        const { config, id } = kinds[name];
        const options = await dpop(config);
        const tokens = await connect(kinds[name], options, { push, resource: here.server.audience });
        assert.equal(tokens.token_type, 'dpop');
        const { payload, protectedHeader } = await verify(tokens.access_token);
        assert.equal(protectedHeader.alg, 'ES256');
        assert.equal(payload.client_id, id);
        assert.deepEqual(payload.cnf, { jkt: await options.DPoP.calculateThumbprint() });
        assert.deepEqual(payload.scope.split(' ').sort(), SCOPE.split(' ').sort());
        assert.ok(payload.company_id);

        const read = (token) => client.fetchProtectedResource(
          config, token, links(), 'GET', undefined, undefined, options,
        );
        assert.equal((await read(tokens.access_token)).status, 200);
        const next = await client.refreshTokenGrant(config, tokens.refresh_token, {}, options);
        assert.notEqual(next.refresh_token, tokens.refresh_token);
        assert.deepEqual((await verify(next.access_token)).payload.cnf, payload.cnf);
        assert.equal((await read(next.access_token)).status, 200);
      });
    }

    it('is refused with another key', async () => {
      const { config } = kinds[name];
      const tokens = await connect(kinds[name], await dpop(config));
      await assert.rejects(
        client.refreshTokenGrant(config, tokens.refresh_token, {}, await dpop(config)),
        ({ error, status }) => error === 'invalid_dpop_proof' && status === 400,
      );
    });

    it('gets bearer tokens without a key; refresh tokens rotate, and one used twice ends them all', async () => {
      const { config } = kinds[name];
      const first = await connect(kinds[name]);
      assert.equal(first.token_type, 'bearer');
      const second = await client.refreshTokenGrant(config, first.refresh_token);
      const third = await client.refreshTokenGrant(config, second.refresh_token);
      assert.equal(new Set([first, second, third].map((tokens) => tokens.refresh_token)).size, 3);
      const read = (token) => client.fetchProtectedResource(config, token, links(), 'GET');
      assert.equal((await read(third.access_token)).status, 200);
      for (const token of [second.refresh_token, third.refresh_token]) await assert.rejects(
        client.refreshTokenGrant(config, token), ({ error, status }) => error === 'invalid_grant' && status === 400,
      );
      await assert.rejects(read(third.access_token), ({ status }) => status === 401);
    });

    it('revokes', async () => {
      const { config } = kinds[name];
      const options = await dpop(config);
      const tokens = await connect(kinds[name], options);
      await client.tokenRevocation(config, tokens.refresh_token);
      await assert.rejects(
        client.refreshTokenGrant(config, tokens.refresh_token, {}, options), ({ error }) => error === 'invalid_grant',
      );
      await assert.rejects(
        client.fetchProtectedResource(config, tokens.access_token, links(), 'GET', undefined, undefined, options),
        ({ status }) => status === 401,
      );
      await client.tokenRevocation(config, tokens.refresh_token);
    });

    it('hears of a denial', async () => {
      const { config, callback } = kinds[name];
      const verifier = client.randomPKCECodeVerifier();
      const state = client.randomState();
      const url = await client.buildAuthorizationUrlWithPAR(config, {
        redirect_uri: callback, scope: SCOPE, state, code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      });
      const { callback: location } = await here.browser.deny(url.href);
      await assert.rejects(
        client.authorizationCodeGrant(config, new URL(location), { pkceCodeVerifier: verifier, expectedState: state }),
        ({ error }) => error === 'access_denied',
      );
    });
  });
}

describe('a confidential application', () => {
  const confidential = () => kinds[NAMES[0]];

  it('gets bearer tokens unless it proves a key', async () => {
    const { config } = confidential();
    const tokens = await connect(confidential());
    assert.equal(tokens.token_type, 'bearer');
    assert.equal((await verify(tokens.access_token)).payload.cnf, undefined);
    assert.equal((await client.fetchProtectedResource(config, tokens.access_token, links(), 'GET')).status, 200);
    assert.equal((await client.refreshTokenGrant(config, tokens.refresh_token)).token_type, 'bearer');
  });

  it('works with two secrets while they overlap, and with the new one after that', async () => {
    const app = await here.server.app('Rotating', 'Nordwind Trading', { scopes: SCOPE.split(' '), redirectUris: [WEB] });
    const old = { config: await configure(app, client.ClientSecretBasic(app.client_secret)), callback: WEB };
    const tokens = await connect(old);
    const rotate = (...more) => here.server.operator(['app', 'rotate-secret', app.client_id, ...more]);
    const { client_secret: secret, former_secret_ends_at: end } = await rotate('--overlap-hours', '1');
    assert.ok(Date.parse(end) - Date.now() > 3_500_000 && Date.parse(end) - Date.now() <= 3_600_000, end);
    const fresh = await configure(app, client.ClientSecretPost(secret));
    const second = await client.refreshTokenGrant(old.config, tokens.refresh_token);
    const third = await client.refreshTokenGrant(fresh, second.refresh_token);
    const refused = (config) => assert.rejects(
      client.refreshTokenGrant(config, third.refresh_token), ({ status }) => status === 401,
    );
    await here.server.operator(['app', 'end-former-secret', app.client_id]);
    await refused(old.config);
    const fourth = await client.refreshTokenGrant(fresh, third.refresh_token);
    const { client_secret: newest, former_secret_ends_at: none } = await rotate();
    assert.equal(none, null);
    await refused(fresh);
    const last = await configure(app, client.ClientSecretBasic(newest));
    assert.equal((await client.refreshTokenGrant(last, fourth.refresh_token)).token_type, 'bearer');
  });

  it('is nobody once it was deleted', async () => {
    const app = await here.server.app('Short-lived', 'Nordwind Trading', { scopes: SCOPE.split(' '), redirectUris: [WEB] });
    const config = await configure(app, client.ClientSecretBasic(app.client_secret));
    const tokens = await connect({ config, callback: WEB });
    const own = await client.clientCredentialsGrant(config, { resource: here.server.audience });
    const removed = await here.server.operator(['app', 'remove', app.client_id, '--yes']);
    assert.deepEqual([removed.deleted, removed.connections_ended], [true, 1]);
    await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token), ({ status }) => status === 401);
    for (const { access_token: token } of [tokens, own]) await assert.rejects(
      client.fetchProtectedResource(config, token, links(), 'GET'), ({ status }) => status === 401,
    );
    assert.deepEqual(await client.tokenIntrospection(guard, tokens.access_token), { active: false });
    const { applications } = await here.server.operator(['app', 'list']);
    assert.ok(applications.every((other) => other.client_id !== app.client_id));
  });

  it('uses client credentials, with and without DPoP', async () => {
    const { config, id } = confidential();
    for (const options of [undefined, await dpop(config)]) {
      const tokens = await client.clientCredentialsGrant(
        config, { scope: 'makepay:payment-links:read', resource: here.server.audience }, options,
      );
      assert.equal(tokens.token_type, options ? 'dpop' : 'bearer');
      assert.equal(tokens.refresh_token, undefined);
      const { payload } = await verify(tokens.access_token);
      assert.equal(payload.sub, id);
      assert.equal(payload.scope, 'makepay:payment-links:read');
      assert.equal(payload.cnf?.jkt, options && await options.DPoP.calculateThumbprint());
      assert.equal(
        (await client.fetchProtectedResource(
          config, tokens.access_token, links(), 'GET', undefined, undefined, options,
        )).status,
        200,
      );
    }
  });

  it('introspects its own tokens, a resource server those for its API', async () => {
    const { config, id } = confidential();
    const options = await dpop(config);
    const { access_token: token, refresh_token: refreshToken } = await connect(confidential(), options);
    const { payload } = await verify(token);
    for (const reader of [config, guard]) {
      const seen = await client.tokenIntrospection(reader, token);
      assert.equal(seen.active, true);
      for (const member of ['iss', 'exp', 'iat', 'client_id', 'sub']) assert.equal(
        seen[member], payload[member], member,
      );
      assert.deepEqual([seen.aud].flat(), [payload.aud].flat());
      assert.deepEqual(seen.scope.split(' ').sort(), payload.scope.split(' ').sort());
      assert.deepEqual(seen.cnf, payload.cnf);
      assert.equal(seen.token_type, 'DPoP');
      assert.equal(seen.client_id, id);
    }
    assert.deepEqual(await client.tokenIntrospection(guard, refreshToken), { active: false });
    const other = kinds['a public application'];
    const foreign = await connect(other, await dpop(other.config));
    assert.deepEqual(await client.tokenIntrospection(config, foreign.access_token), { active: false });
    assert.equal((await client.tokenIntrospection(guard, foreign.access_token)).active, true);
    await client.tokenRevocation(config, token);
    assert.deepEqual(await client.tokenIntrospection(guard, token), { active: false });
  });
});

describe('a public application', () => {
  it('may not introspect and has no client credentials', async () => {
    const { config } = kinds['a public application'];
    await assert.rejects(
      client.tokenIntrospection(config, 'token'),
      ({ status, error }) => status === 401 || error === 'invalid_client',
    );
    await assert.rejects(client.clientCredentialsGrant(config, {}), ({ error }) => [
      'unauthorized_client', 'invalid_client',
    ].includes(error));
  });
});
