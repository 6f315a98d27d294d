// The guard of the partner API: tokens in every wrong form, and what a refusal tells.
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { describe, it } from 'node:test';

import { Key, base64url } from './lib/dpop.mjs';
import { challenged, ok, refused, send } from './lib/http.mjs';
import { world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world({}, prepare);
let shop;
let other;

async function prepare() {
  [shop, other] = [new Store(here.server, 'wordpress'), new Store(here.server, 'btcpay-server')];
  await shop.connect(here.browser);
  await other.connect(here.browser);
}

const links = () => shop.at('/api/partner/v1/makepay/payment-links');
const call = (authorization, { token = shop.tokens.access_token, key = shop.key, headers } = {}) =>
  send(links(), { headers: { authorization, dpop: key.proof('GET', links(), { token }), ...headers } });

const forge = (change) => {
  const [head, payload, signature] = shop.tokens.access_token.split('.');
  const read = (part) => JSON.parse(Buffer.from(part, 'base64url'));
  const write = (part) => base64url(JSON.stringify(part));
  return change({ head, payload, signature, header: read(head), claims: read(payload), write });
};

const FORGED = {
  'a bit of the signature turned': ({ head, payload, signature }) => {
    const first = signature.startsWith('A') ? 'B' : 'A';
    return `${head}.${payload}.${first}${signature.slice(1)}`;
  },
  'no signature': ({ head, payload }) => `${head}.${payload}.`,
  'cnf exchanged': ({
    head, signature, claims, write,
  }) => `${head}.${write({ ...claims, cnf: { jkt: new Key().jkt } })}.${signature}`,
  'scope added': ({
    head, signature, claims, write,
  }) => `${head}.${write({ ...claims, scope: `${claims.scope} company:write` })}.${signature}`,
  'alg none': ({ header, payload, write }) => `${write({ ...header, alg: 'none' })}.${payload}.`,
  'alg nOnE': ({ header, payload, signature, write }) => `${write({ ...header, alg: 'nOnE' })}.${payload}.${signature}`,
  'alg HS256 with a guess': ({ header, payload, write }) => {
    const input = `${write({ ...header, alg: 'HS256' })}.${payload}`;
    return `${input}.${createHmac('sha256', 'key').update(input).digest('base64url')}`;
  },
  'a key of its own in the header': ({ header, payload, write }) => {
    const key = new Key();
    const input = `${write({ ...header, alg: 'ES256', jwk: key.jwk })}.${payload}`;
    return `${input}.${key.sign(input).toString('base64url')}`;
  },
  'a key of its own under the kid': ({ header, payload, write }) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const input = `${write({ ...header, alg: 'RS256' })}.${payload}`;
    return `${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`;
  },
  'kid unknown': ({
    header, payload, signature, write,
  }) => `${write({ ...header, kid: 'unknown' })}.${payload}.${signature}`,
  'kid a path': ({
    header, payload, signature, write,
  }) => `${write({ ...header, kid: '../../../../dev/null' })}.${payload}.${signature}`,
  'kid some SQL': ({
    header, payload, signature, write,
  }) => `${write({ ...header, kid: "' or 1=1 --" })}.${payload}.${signature}`,
  'jku': ({
    header, payload, signature, write,
  }) => `${write({ ...header, jku: 'http://127.0.0.1:9/' })}.${payload}.${signature}`,
  'typ JWT': ({ header, payload, signature, write }) => `${write({ ...header, typ: 'JWT' })}.${payload}.${signature}`,
  'crit': ({ header, payload, signature, write }) => `${write({ ...header, crit: ['exp'] })}.${payload}.${signature}`,
  'a proof': () => shop.key.proof('GET', links()),
  'the refresh token': () => shop.tokens.refresh_token,
  'a word': () => 'token',
  'two dots': () => '..',
  'claims that are a list': ({ head, signature, write }) => `${head}.${write([])}.${signature}`,
  '7 kB': ({ head, signature }) => `${head}.${'A'.repeat(7000)}.${signature}`,
};

describe('without credentials', () => {
  it('the challenge names algorithms and metadata, and no error', async () => {
    for (const path of ['payment-links', 'webhook-subscriptions/current', 'branding', 'settings', 'payment-links/x']) {
      const answer = await send(shop.at(`/api/partner/v1/makepay/${path}`));
      challenged(answer, undefined, path);
      assert.match(answer.headers['www-authenticate'], /algs="ES256"/);
      assert.match(
        answer.headers['www-authenticate'],
        new RegExp(`resource_metadata="${shop.issuer}/\\.well-known/oauth-protected-resource[^"]*"`),
      );
      const [, metadata] = /resource_metadata="([^"]+)"/.exec(answer.headers['www-authenticate']);
      assert.equal(ok(await send(metadata)).resource, shop.audience);
    }
  });
});

describe('a token that is none', () => {
  for (const [name, change] of Object.entries(FORGED)) {
    it(name, async () => {
      const token = forge(change);
      const answer = await call(`DPoP ${token}`, { token });
      refused(answer, 401, 'invalid_token');
      challenged(answer, 'invalid_token');
    });
  }
});

describe('a good token in a wrong way', () => {
  const token = () => shop.tokens.access_token;

  it('as Bearer, with and without a proof', async () => {
    for (const scheme of ['Bearer', 'bearer', 'BeArEr']) {
      challenged(await call(`${scheme} ${token()}`), 'invalid_token', scheme);
      challenged(await call(`${scheme} ${token()}`, { headers: { dpop: undefined } }), 'invalid_token', scheme);
    }
  });

  it('with the proof of another key', async () => {
    challenged(await call(`DPoP ${token()}`, { key: other.key }), 'invalid_token');
    challenged(await call(`DPoP ${other.tokens.access_token}`, { token: other.tokens.access_token }), 'invalid_token');
  });

  it('in malformed headers', async () => {
    for (const value of [
      'DPoP', 'DPoP ', 'Bearer', 'Basic', `DPoP  ${token()} x`, `DPoP ${token()} ${token()}`, `DPoP ${token()},`,
      `DPoP token=${token()}`, `DPoP "${token()}"`, token(), `Basic ${token()}`, `Digest ${token()}`,
      'DPoP \xe2\x98\x83',
      `DPoP ${'A'.repeat(9_000)}`,
    ]) {
      const answer = await call(value);
      assert.ok([400, 401, 431].includes(answer.status), `${value.slice(0, 40)}: ${answer.status} ${answer.text}`);
    }
  });

  it('twice, in the query, or in the body', async () => {
    const both = await call([`DPoP ${token()}`, `DPoP ${token()}`]);
    assert.ok([400, 401].includes(both.status), both.text);
    const query = await send(`${links()}?access_token=${token()}`, { headers: { dpop: shop.key.proof(
      'GET', links(), { token: token() },
    ) } });
    assert.ok([400, 401].includes(query.status), query.text);
    const body = await send(links(), {
      form: { access_token: token() }, headers: { dpop: shop.key.proof('POST', links(), { token: token() }) },
    });
    assert.ok([400, 401].includes(body.status), body.text);
  });

  it('beside API keys', async () => {
    for (const name of [
      'x-makecrypto-key-id', 'x-makecrypto-key-secret', 'x-makepay-key-id', 'x-makepay-key-secret', 'x-api-key',
      'x-api-secret',
    ]) {
      assert.equal((await call(`DPoP ${token()}`, { headers: { [name]: 'mk_makepay_x' } })).status, 400, name);
    }
  });

  it('in a scheme of any case is right', async () => {
    for (const scheme of ['dpop', 'DPOP', 'DpOp']) ok(await call(`${scheme} ${token()}`), 200, scheme);
  });
});

describe('what a request may be', () => {
  it('405 names the methods there are', async () => {
    const allowed = {
      'payment-links': ['GET', 'POST'], 'payment-links/x': ['GET', 'PATCH'],
      'webhook-subscriptions/current': ['DELETE', 'GET', 'PUT'], 'webhook-secret': ['POST'], branding: ['GET'],
      settings: ['GET', 'PUT'], customers: ['GET', 'POST'], 'customers/x': ['GET', 'PATCH'], subscriptions: ['GET', 'POST'],
      'subscriptions/x': ['GET', 'PATCH'],
    };
    for (const [path, methods] of Object.entries(allowed)) {
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((one) => !methods.includes(one))) {
        const answer = await send(
          shop.at(`/api/partner/v1/makepay/${path}`), { method, headers: { 'content-length': '0' } },
        );
        assert.equal(answer.status, 405, `${method} ${path}`);
        const named = answer.headers.allow.split(/\s*,\s*/).filter((one) => !['HEAD', 'OPTIONS'].includes(one)).sort();
        assert.deepEqual(named, methods, `${method} ${path}`);
      }
    }
  });

  it('a body is JSON, an object, and not large', async () => {
    const post = (body, type = 'application/json') => shop.api(
      'POST', 'payment-links', { body, headers: { 'content-type': type } },
    );
    const good = JSON.stringify({ payload: { amount: '1.00', fiatCurrency: 'EUR' } });
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml', '']) {
      assert.ok([400, 415].includes((await post(good, type)).status), type);
    }
    for (const body of [
      '', '{', '[]', 'null', '1', '"x"', `${good}x`, `\ufeff${good}`, '{"payload":{"amount":"1"},"payload":{}}',
      `{"payload":${'['.repeat(3000)}}`, '{"payload":{"amount":1e400}}', '{}', '{"payload":null}', '{"payload":{}}',
    ]) {
      const answer = await post(body);
      assert.equal(answer.status, 400, `${body.slice(0, 40)} ${answer.text}`);
      assert.match(answer.json.error, /^[a-z_]+$/);
    }
    assert.equal((await post(JSON.stringify({ payload: { amount: '1', note: 'x'.repeat(1_000_000) } }))).status, 413);
    assert.deepEqual(ok(await shop.api('GET', 'payment-links')).paymentLinks, []);
    ok(await post(good, 'application/json; charset=utf-8'), 201);
  });

  it('a path is exact', async () => {
    for (const path of [
      'payment-links/', 'Payment-Links', 'payment%2dlinks', '/payment-links', 'payment-links;x', './payment-links',
      'payment-links/%2e%2e/branding', 'unknown',
    ]) {
      const answer = await send(shop.issuer, {
        target: `/api/partner/v1/makepay/${path}`, headers: { authorization: `DPoP ${shop.tokens.access_token}` },
      });
      assert.ok([401, 404].includes(answer.status), `${path}: ${answer.status}`);
    }
    await shop.stillWorks();
    await other.stillWorks();
  });
});
