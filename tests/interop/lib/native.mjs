// A store as the platforms' plugins are one: registration, connection, tokens, API calls, reset. Strict in what it
// takes: an answer that a plugin in the field would not accept fails the test.
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';

import { Key, hex40, now, pkce, random } from './dpop.mjs';
import { ok, send } from './http.mjs';

const LINKS_AND_HOOKS = [
  'company:read', 'makepay:payment-links:read', 'makepay:payment-links:write', 'makepay:webhooks:read',
  'makepay:webhooks:write',
];

export const PLATFORMS = {
  medusa: {
    algorithm: 'RS256', identified: true, version: { medusaVersion: '2.17.2' }, scopes: LINKS_AND_HOOKS,
    callback: (site) => `${site}/makepay/oauth/callback`,
  },
  wordpress: {
    algorithm: 'ES256', identified: true, version: { wordpressVersion: '6.9' }, scopes: LINKS_AND_HOOKS,
    callback: (site) => `${site}/wp-admin/admin-post.php?action=counterfoil_callback`,
  },
  'btcpay-server': {
    algorithm: 'RS256', identified: false, version: { btcpayServerVersion: null },
    scopes: [
      'company:read', 'makepay:payment-links:read', 'makepay:payment-links:write', 'makepay:settings:read',
      'makepay:settings:write',
    ],
    callback: (site) => `${site}/plugins/store-1/makepay/oauth/callback`,
  },
};

const AGENTS = { medusa: 'MakePayJS/0.4.0', wordpress: 'test/1', 'btcpay-server': 'MakePayBTCPayServer/1.7.5' };
let stores = 0;

export class Store {
  constructor(server, platform, { site = `https://shop-${process.pid}-${stores += 1}.example` } = {}) {
    Object.assign(this, { issuer: server.issuer, platform, site, key: new Key(), rules: PLATFORMS[platform] });
    this.redirectUri = this.rules.callback(site);
    this.audience = `${this.issuer}/api/partner/v1`;
    this.registrationId = this.rules.identified ? random() : undefined;
  }

  at(path) {
    return `${this.issuer}${path}`;
  }

  /** A key for the `Idempotency-Key` header in the form that this platform's profile demands; BTCPay sends none. */
  tokenKey() {
    return this.rules.identified ? `${this.platform}-token-${random()}` : undefined;
  }

  registration(changes) {
    return {
      platform: this.platform, registrationId: this.registrationId, siteUrl: this.site, redirectUri: this.redirectUri,
      dpopJkt: this.key.jkt, pluginVersion: '1.0.1', ...this.rules.version, ...changes,
    };
  }

  /** Sends a registration; `previous` is the key that signs `DPoP-Previous`, `proof` replaces the DPoP header. */
  register({ key = this.key, previous, proof, headers, ...changes } = {}) {
    const url = this.at('/oauth/native/installations');
    return send(url, {
      json: this.registration({ dpopJkt: key.jkt, ...changes }),
      headers: {
        accept: 'application/json',
        dpop: proof === undefined ? key.proof('POST', url) : proof ?? undefined,
        'dpop-previous': previous?.proof('POST', url),
        ...headers,
      },
    });
  }

  /** Registers as new, or as known with the present key, and keeps what was answered. */
  async enrol({ known = false } = {}) {
    const body = ok(await this.register({ previous: known ? this.key : undefined }), known ? 200 : 201);
    if (known) assert.equal(body.client_id, this.clientId);
    assert.deepEqual(new Set(body.scopes), new Set(this.rules.scopes));
    if (this.rules.identified) assert.equal(body.registration_id, this.registrationId);
    this.clientId = body.client_id;
    return body;
  }

  /** An authorization request, plain, in this platform's shape. */
  request({ key = this.key, ...changes } = {}) {
    const { verifier, challenge } = pkce();
    const parameters = {
      response_type: 'code', client_id: this.clientId, redirect_uri: this.redirectUri,
      scope: this.rules.scopes.join(' '),
      code_challenge: challenge, code_challenge_method: 'S256', dpop_jkt: key.jkt, state: random(),
      ...(this.rules.identified && { resource: this.audience }), ...changes,
    };
    for (const name of Object.keys(parameters)) if (parameters[name] === undefined) delete parameters[name];
    return { url: `${this.at('/oauth/authorize')}?${new URLSearchParams(parameters)}`, verifier, parameters };
  }

  /** Lets `browser` approve; answers what the code exchange needs. */
  async authorize(browser, { key = this.key, company } = {}) {
    const { url, verifier, parameters } = this.request({ key });
    const { code, state, iss, callback } = await browser.approve(url, company);
    assert.ok(callback.startsWith(this.redirectUri), callback);
    assert.equal(state, parameters.state);
    assert.equal(iss, this.issuer);
    assert.match(code, /^mco_code_[\x21-\x7e]+$/);
    return { code, code_verifier: verifier, redirect_uri: this.redirectUri };
  }

  /** One token request. `form` adds to or (with undefined) removes from the form; `key` signs, `idempotency` is sent. */
  async token(form, { key = this.key, idempotency = this.tokenKey(), proof, headers } = {}) {
    const url = this.at('/oauth/token');
    const fields = { client_id: this.clientId, ...(this.rules.identified && { resource: this.audience }), ...form };
    for (const name of Object.keys(fields)) if (fields[name] === undefined) delete fields[name];
    return send(url, {
      form: fields,
      headers: {
        accept: 'application/json', dpop: proof === undefined ? key.proof('POST', url) : proof ?? undefined,
        'idempotency-key': idempotency ?? undefined, ...headers,
      },
    });
  }

  redeem(grant, options) {
    return this.token({ grant_type: 'authorization_code', ...grant }, options);
  }

  refresh(refreshToken = this.tokens.refresh_token, options) {
    return this.token({ grant_type: 'refresh_token', refresh_token: refreshToken }, options);
  }

  /** Registers, approves and redeems; the store is then connected. */
  async connect(browser, { company } = {}) {
    if (!this.clientId) await this.enrol();
    return this.accept(await this.redeem(await this.authorize(browser, { company })));
  }

  /** Takes a token answer the way the plugin does, and keeps it. */
  async accept(answer, { key = this.key, replayed = false } = {}) {
    const body = ok(answer);
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.equal(answer.headers['idempotent-replayed'], replayed ? 'true' : undefined);
    assert.equal(body.token_type, 'DPoP');
    assert.match(body.refresh_token, /^mco_rt_[\x21-\x7e]{32,}$/);
    assert.notEqual(body.refresh_token, this.tokens?.refresh_token);
    assert.ok(Number.isInteger(body.expires_in) && body.expires_in > 60);
    assert.deepEqual(body.scope.split(' ').sort(), [...this.rules.scopes].sort());
    const claims = await this.verify(body.access_token, key);
    if (this.claims) {
      for (const name of ['company_id', 'grant_id', 'installation_id']) assert.equal(
        claims[name], this.claims[name], name,
      );
    }
    Object.assign(this, { tokens: body, claims });
    return body;
  }

  /** Every rule for an access token, with keys fetched afresh. */
  async verify(token, key = this.key) {
    const [head, payload, signature] = token.split('.');
    const read = (part) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    const header = read(head);
    const claims = read(payload);
    assert.equal(header.typ, 'at+jwt');
    assert.equal(header.alg, this.rules.algorithm);
    const { keys } = ok(await send(this.at('/oauth/jwks.json')));
    const jwk = keys.find(({ kid }) => kid === header.kid);
    assert.ok(jwk, 'the kid is published');
    assert.equal(jwk.kty, this.rules.algorithm === 'RS256' ? 'RSA' : 'EC');
    assert.ok([undefined, this.rules.algorithm].includes(jwk.alg));
    assert.ok([undefined, 'sig'].includes(jwk.use));
    if (jwk.key_ops) assert.deepEqual(jwk.key_ops, ['verify']);
    const input = Buffer.from(`${head}.${payload}`);
    const material = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
    assert.ok(verify('sha256', input, material, Buffer.from(signature, 'base64url')), 'the signature verifies');

    const scopes = claims.scope.split(' ');
    assert.equal(claims.iss, this.issuer);
    assert.ok([claims.aud].flat().includes(this.audience));
    assert.equal(claims.client_id, this.clientId);
    assert.deepEqual(claims.cnf, { jkt: key.jkt });
    assert.equal(new Set(scopes).size, scopes.length);
    assert.deepEqual([...scopes].sort(), [...this.rules.scopes].sort());
    assert.ok(claims.iat <= now() + 30 && claims.exp > claims.iat && claims.exp > now());
    assert.ok(claims.nbf === undefined || claims.nbf <= now() + 30);
    for (const name of ['company_id', 'grant_id', 'jti']) assert.ok(
      typeof claims[name] === 'string' && claims[name] !== '', name,
    );
    assert.equal(claims.installation_id, this.clientId);
    return claims;
  }

  /** One partner API call below /makepay; knobs go to the proof, `token` and `scheme` to the header. */
  api(method, path, {
    json, body, token = this.tokens.access_token, key = this.key, scheme = 'DPoP', idempotency, proof, headers, knobs,
  } = {}) {
    const url = this.at(`/api/partner/v1/makepay/${path}`);
    return send(url, {
      method, json, body,
      headers: {
        accept: 'application/json', 'user-agent': AGENTS[this.platform], authorization: `${scheme} ${token}`,
        dpop: proof === undefined ? key.proof(method, url, { token, ...knobs }) : proof ?? undefined,
        'idempotency-key': idempotency, ...headers,
      },
    });
  }

  /** The native reset. */
  reset({
    token = this.tokens.access_token, key = this.key, clientId = this.clientId,
    idempotency = `${this.platform}-native-reset-${hex40()}`, headers,
  } = {}) {
    const url = this.at('/oauth/native/installations');
    return send(`${url}?client_id=${clientId}`, {
      method: 'DELETE',
      headers: {
        authorization: `DPoP ${token}`, dpop: key.proof('DELETE', url, { token }), 'idempotency-key': idempotency,
        ...headers,
      },
    });
  }

  /** Asserts that tokens and registration still work: nothing that was refused before has changed anything. */
  async stillWorks() {
    ok(await this.api('GET', 'payment-links'));
    await this.accept(await this.refresh());
  }
}
