// OpenID providers: one that nobody here wrote, with its own pages, and one of ours that lies as it is told.
import { createServer } from 'node:http';

import { CompactSign, SignJWT, UnsecuredJWT, exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

import { random } from './dpop.mjs';

/** A server on a free port, at another host than the server's 127.0.0.1, so that what is cross-site is so in the browser too. */
export async function listening(answer) {
  const server = createServer(answer);
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => { server.close(resolve); });
  };
  return { origin: `http://localhost:${server.address().port}`, stop };
}

/** A certified provider. Whoever types a name there is that person, with whatever password. */
export class RealProvider {
  static async start() {
    const real = new RealProvider();
    let answer = (request, response) => response.writeHead(503).end();
    Object.assign(real, await listening((request, response) => answer(request, response)), {
      clientId: 'counterfoil', secret: random(),
      /** By login: the address, and whether it is vouched for. */
      people: new Map(),
    });
    /** Opens for the clients whose callbacks these are. */
    real.open = (redirectUris) => {
      const provider = new Provider(real.origin, {
        clients: [{ client_id: real.clientId, client_secret: real.secret, redirect_uris: redirectUris }],
        claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
        cookies: { keys: [random()] },
        findAccount: (context, sub) => ({
          accountId: sub,
          claims: () => ({ sub, email: sub, email_verified: true, ...real.people.get(sub) }),
        }),
      });
      answer = provider.callback();
    };
    return real;
  }
}

/** A key of this name. */
export async function makeKey(kid) {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  return { kid, privateKey, jwk: { ...await exportJWK(publicKey), kid, alg: 'ES256', use: 'sig' } };
}

const CLAIMS = ['iss', 'sub', 'aud', 'exp', 'iat', 'nonce'];

/** A provider that says what `lie` says, at as many issuers as it is asked for, and signs everybody in at once. */
export class LyingProvider {
  static async start() {
    const liar = new LyingProvider();
    Object.assign(liar, {
      lie: {}, codes: new Map(), keys: [], published: [], asked: [], told: [], ...await listening((request, response) => {
        const chunks = [];
        request.on('data', (chunk) => chunks.push(chunk));
        request.once('end', () => liar.answer(request, response, Buffer.concat(chunks).toString()).catch((error) => {
          response.writeHead(500).end(String(error));
        }));
      }),
    });
    await liar.newKey('first');
    liar.published = [...liar.keys];
    return liar;
  }

  issuer(name) {
    return `${this.origin}/${name}`;
  }

  async newKey(kid) {
    this.keys.push(await makeKey(kid));
  }

  async answer(request, response, body) {
    const url = new URL(request.url, this.origin);
    const [, name, ...rest] = url.pathname.split('/');
    const [path, issuer] = [rest.join('/'), this.issuer(name)];
    this.asked.push(path);
    const { lie } = this;
    const json = (value, status = 200) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(
        typeof value === 'string' ? value : JSON.stringify(value),
      );
    };
    if (lie.down) {
      response.writeHead(502).end('bad gateway');
    } else if (path === '.well-known/openid-configuration') {
      json({
        issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/jwks`, response_types_supported: ['code'], subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'], authorization_response_iss_parameter_supported: true,
        ...lie.metadata,
      });
    } else if (path === 'jwks') {
      json({ keys: this.published.map(({ jwk }) => jwk) });
    } else if (path === 'authorize') {
      const asked = Object.fromEntries(url.searchParams);
      const code = random();
      this.codes.set(code, asked);
      this.last = asked;
      const back = new URL(asked.redirect_uri);
      for (const [key, value] of Object.entries({ state: asked.state, iss: issuer, code, ...lie.answer })) {
        if (value !== undefined) back.searchParams.set(key, value);
      }
      response.writeHead(303, { location: back.href }).end();
    } else if (path === 'token') {
      const form = Object.fromEntries(new URLSearchParams(body));
      const asked = this.codes.get(form.code);
      this.codes.delete(form.code);
      if (lie.token) json(lie.token.body, lie.token.status);
      else if (!asked) json({ error: 'invalid_grant' }, 400);
      else {
        this.told.push({ access_token: 'opaque', token_type: 'Bearer', ...await this.idToken(issuer, asked) });
        json(this.told.at(-1));
      }
    } else {
      response.writeHead(404).end();
    }
  }

  async idToken(issuer, asked) {
    const { lie } = this;
    if (lie.noToken) return {};
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer, sub: 'sub-1', aud: asked.client_id, iat: now, exp: now + 300, nonce: asked.nonce, ...lie.claims,
    };
    for (const name of CLAIMS) if (claims[name] === undefined) delete claims[name];
    if (lie.algorithm === 'none') return { id_token: new UnsecuredJWT(claims).encode() };
    if (lie.algorithm === 'HS256') {
      const secret = new TextEncoder().encode(lie.secret);
      return { id_token: await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(secret) };
    }
    const key = lie.key ?? this.keys[0];
    const payload = new TextEncoder().encode(JSON.stringify(claims));
    const header = { alg: 'ES256', kid: lie.kid ?? key.kid, ...lie.header };
    let token = await new CompactSign(payload).setProtectedHeader(header).sign(key.privateKey);
    if (lie.spoil) token = lie.spoil(token);
    return { id_token: token };
  }
}
