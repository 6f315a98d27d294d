// The form endpoints: methods, content types, encodings, doubled fields, bodies that are too large, and clients that
// do not prove themselves.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';

import { random } from './lib/dpop.mjs';
import { ok, refused, send, sendRaw } from './lib/http.mjs';
import { UNTHROTTLED, world } from './lib/kit.mjs';

const here = world({ settings: UNTHROTTLED });
const SCOPE = 'makepay:payment-links:read';
const ENDPOINTS = ['token', 'par', 'revoke', 'introspect'];
let app;
let desk;
let guard;

before(async () => {
  app = await here.server.app('Ledger', 'Nordwind Trading', {
    redirectUris: ['https://app.example/cb'], scopes: [SCOPE],
  });
  desk = await here.server.app('Desk', 'Nordwind Trading', {
    redirectUris: ['https://app.example/cb'], scopes: [SCOPE], flags: ['--public'],
  });
  guard = await here.server.app('Guard', 'Nordwind Trading', { flags: ['--resource-server'] });
});

const at = (endpoint) => `${here.server.issuer}/oauth/${endpoint}`;
const own = () => basic(app.client_id, app.client_secret);
const post = (endpoint, form, headers = own()) => send(at(endpoint), { form, headers });
const credentials = (changes) => ({ grant_type: 'client_credentials', scope: SCOPE, ...changes });
const honest = async () => ok(await post('token', credentials()));

describe('methods', () => {
  const expected = {
    ...Object.fromEntries(ENDPOINTS.map((endpoint) => [`/oauth/${endpoint}`, ['POST']])),
    '/.well-known/oauth-authorization-server': ['GET', 'HEAD'], '/.well-known/oauth-protected-resource': ['GET', 'HEAD'], '/oauth/jwks.json': ['GET', 'HEAD'],
  };

  it('405 names what is allowed', async () => {
    for (const [path, methods] of Object.entries(expected)) {
      for (const method of [
        'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE',
      ].filter((one) => !methods.includes(one))) {
        const answer = await send(`${here.server.issuer}${path}`, { method });
        assert.equal(answer.status, 405, `${method} ${path}`);
        assert.deepEqual(
          answer.headers.allow.split(/\s*,\s*/).filter((one) => one !== 'OPTIONS').sort(), methods, `${method} ${path}`,
        );
      }
    }
  });

  it('HEAD has no body, GET may be kept', async () => {
    for (const path of Object.keys(expected).filter((one) => expected[one].includes('HEAD'))) {
      const answer = await send(`${here.server.issuer}${path}`, { method: 'HEAD' });
      assert.equal(answer.status, 200, path);
      assert.equal(answer.body.length, 0, path);
      const any = await send(`${here.server.issuer}${path}`, { headers: { origin: 'https://any.example' } });
      assert.equal(any.headers['access-control-allow-origin'], '*', path);
      assert.equal(any.headers['access-control-allow-credentials'], undefined, path);
    }
  });

  it('nothing in the query counts', async () => {
    const query = new URLSearchParams({ ...credentials(), client_id: app.client_id, client_secret: app.client_secret });
    assert.equal((await send(`${at('token')}?${query}`)).status, 405);
    const answer = await send(`${at('token')}?${query}`, { form: {} });
    assert.ok([400, 401].includes(answer.status), answer.text);
  });
});

describe('bodies', () => {
  it('are forms', async () => {
    const form = new URLSearchParams(credentials()).toString();
    for (const endpoint of ENDPOINTS) {
      for (const [type, body] of [
        ['application/json', JSON.stringify(credentials())], ['text/plain', form],
        ['multipart/form-data; boundary=x', form], ['', form], ['application/x-www-form-urlencodedx', form],
      ]) {
        refused(
          await send(at(endpoint), { body, headers: { ...own(), 'content-type': type } }), [400, 415],
          'invalid_request', `${endpoint} ${type}`,
        );
      }
    }
    for (const type of ['application/x-www-form-urlencoded; charset=UTF-8', 'Application/X-WWW-Form-Urlencoded']) {
      ok(await send(at('token'), { body: form, headers: { ...own(), 'content-type': type } }), 200, type);
    }
    const packed = await send(at('token'), { form, headers: { ...own(), 'content-encoding': 'gzip' } });
    assert.ok([400, 415].includes(packed.status), `${packed.status}`);
  });

  it('are small', async () => {
    const large = {
      '1 MB of one field': `grant_type=${'x'.repeat(1_000_000)}`, '1 MB of many': Array.from(
        { length: 100_000 }, (_, n) => `a${n}=b`,
      ).join('&'),
      'one field of 200 kB': `grant_type=client_credentials&x=${'y'.repeat(200_000)}`,
    };
    for (const endpoint of ENDPOINTS) {
      for (const [name, form] of Object.entries(large)) {
        const began = process.hrtime.bigint();
        const answer = await post(endpoint, form);
        assert.ok([400, 413].includes(answer.status), `${endpoint} ${name}: ${answer.status}`);
        assert.ok(process.hrtime.bigint() - began < 2_000_000_000n, `${endpoint} ${name} took too long`);
      }
    }
    await honest();
  });

  it('may be chunked, but not lie about their length', async () => {
    ok(await send(at('token'), { form: credentials(), headers: { ...own(), 'transfer-encoding': 'chunked' } }));
    const { host } = new URL(here.server.issuer);
    const line = `POST /oauth/token HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n`;
    for (const headers of [
      'Content-Length: 5\r\nContent-Length: 6\r\n', 'Content-Length: x\r\n', 'Content-Length: -1\r\n',
      'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n',
      'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
    ]) {
      const answer = await sendRaw(here.server.issuer, `${line}${headers}\r\n0\r\n\r\n`);
      assert.match(answer, /^HTTP\/1\.1 4\d\d /, headers);
    }
    await honest();
  });

  it('are strictly encoded', async () => {
    for (const odd of ['%zz', '%', '%4', '%ff', '%c0%80', '%ed%a0%80', '%f5%80%80%80']) {
      const answer = await post('token', `grant_type=client_credentials&scope=${odd}`);
      refused(answer, 400, ['invalid_request', 'invalid_scope'], odd);
      refused(
        await post('token', `grant_type=client_credentials${odd}`), 400, ['invalid_request', 'unsupported_grant_type'],
        odd,
      );
    }
    const raw = await send(at('token'), {
      body: Buffer.from('grant_type=client_credentials&x=\xff', 'latin1'),
      headers: { ...own(), 'content-type': 'application/x-www-form-urlencoded' },
    });
    assert.ok([200, 400].includes(raw.status));
  });
});

describe('fields', () => {
  it('come once', async () => {
    const fields = {
      token: [
        'grant_type', 'client_id', 'client_secret', 'code', 'redirect_uri', 'code_verifier', 'refresh_token', 'scope',
      ],
      par: [
        'response_type', 'client_id', 'redirect_uri', 'scope', 'state', 'code_challenge', 'code_challenge_method',
        'dpop_jkt',
      ],
      revoke: ['token', 'token_type_hint', 'client_id'], introspect: ['token', 'token_type_hint', 'client_id'],
    };
    for (const [endpoint, names] of Object.entries(fields)) {
      for (const name of names) {
        for (const second of ['same', 'other']) {
          const pairs = [
            ['grant_type', 'client_credentials'], ['token', 'x'], ['client_id', app.client_id],
          ].filter(([one]) => one !== name);
          const value = name === 'grant_type' ? 'client_credentials' : name === 'client_id' ? app.client_id : 'same';
          refused(
            await post(endpoint, [...pairs, [name, value], [name, second === 'same' ? value : second]]), 400,
            'invalid_request', `${endpoint} ${name} ${second}`,
          );
        }
      }
    }
    await honest();
  });

  it('have plain names', async () => {
    for (const form of [
      'grant_type[]=client_credentials', 'grant_type[a]=client_credentials', '__proto__=x', 'constructor=x', '=x',
      '&&&', 'Grant_Type=client_credentials', `${'n'.repeat(60_000)}=x`,
    ]) {
      refused(await post('token', form), 400, 'invalid_request', form.slice(0, 40));
    }
  });

  it('name a grant type that there is', async () => {
    for (const grant of ['', undefined]) refused(
      await post('token', grant === undefined ? { scope: SCOPE } : { grant_type: grant }), 400, 'invalid_request',
      String(grant),
    );
    for (const grant of [
      'password', 'implicit', 'CLIENT_CREDENTIALS', 'client_credentials ',
      'urn:ietf:params:oauth:grant-type:jwt-bearer', 'urn:ietf:params:oauth:grant-type:token-exchange',
      'x'.repeat(10_000),
    ]) {
      refused(await post('token', { grant_type: grant }), 400, 'unsupported_grant_type', grant.slice(0, 30));
    }
    refused(await post('token', credentials(), {}), [400, 401], ['invalid_client', 'invalid_request']);
    refused(
      await post('token', { ...credentials(), client_id: desk.client_id }, {}), [400, 401],
      ['unauthorized_client', 'invalid_client'],
    );
    for (const missing of [
      { grant_type: 'authorization_code' }, { grant_type: 'authorization_code', code: 'x' },
      { grant_type: 'refresh_token' },
    ]) {
      refused(await post('token', missing), 400, ['invalid_request', 'invalid_grant'], JSON.stringify(missing));
    }
    for (const scope of [
      'unknown', 'openid', 'offline_access', 'company:write', `${SCOPE}  ${SCOPE}`, `"${SCOPE}"`, `${SCOPE}\u0000`,
    ]) {
      refused(await post('token', credentials({ scope })), 400, 'invalid_scope', scope);
    }
    for (const resource of ['https://evil.example', `${here.server.audience}/`, '/api', 'x']) refused(
      await post('token', credentials({ resource })), 400, 'invalid_target', resource,
    );
    refused(
      await post('token', [
        ...Object.entries(credentials()), ['resource', here.server.audience], ['resource', 'https://evil.example'],
      ]),
      400, ['invalid_target', 'invalid_request'],
    );
  });
});

describe('clients', () => {
  it('that do not prove themselves are one and the same', async () => {
    const texts = new Set();
    for (const headers of [
      basic(app.client_id, 'wrong'), basic('mco_app_unknown', app.client_secret),
      basic(app.client_id, guard.client_secret), basic(app.client_id, ''), basic('', ''),
      basic(app.client_id, `${app.client_secret}x`), basic(app.client_id, app.client_secret.slice(1)),
    ]) {
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

  it('with malformed headers get 400 or 401, never an error of ours', async () => {
    const good = Buffer.from(`${app.client_id}:${app.client_secret}`).toString('base64');
    for (const authorization of [
      'Basic', 'Basic ', 'Bearer', 'Bearer x', 'DPoP', 'Basic \xe2\x98\x83', 'Basic ====', `Basic ${'A'.repeat(9_000)}`,
      '   ', `Basic ${good.replace(/=*$/, '')}!`, `Basic ${Buffer.from(app.client_id).toString('base64')}`,
      `Basic ${good} ${good}`, `Basic ${Buffer.from([0xff, 0x3a, 0xff]).toString('base64')}`, 'Negotiate x', ',',
    ]) {
      const answer = await post('token', credentials(), { authorization });
      refused(answer, [400, 401], ['invalid_client', 'invalid_request'], authorization.slice(0, 40));
    }
    refused(
      await post('token', credentials(), { authorization: [own().authorization, own().authorization] }), [400, 401],
      ['invalid_client', 'invalid_request'],
    );
  });

  it('prove themselves one way at a time', async () => {
    const secret = { client_id: app.client_id, client_secret: app.client_secret };
    ok(await post('token', credentials({ client_id: app.client_id })));
    ok(await post('token', credentials(secret), {}));
    refused(await post('token', credentials({ ...secret, client_secret: 'wrong' }), {}), 401, 'invalid_client');
    refused(
      await post('token', credentials({ client_id: desk.client_id })), [400, 401],
      ['invalid_request', 'invalid_client'],
    );
    refused(await post('token', credentials({ client_id: app.client_id }), {}), 401, 'invalid_client');
    refused(
      await post('token', credentials({ client_id: desk.client_id, client_secret: 'guess' }), {}), [400, 401],
      ['invalid_client', 'invalid_request'],
    );
    refused(
      await post(
        'token',
        credentials({
          client_id: app.client_id, client_assertion: 'e30.e30.x',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        }),
        {},
      ),
      401, 'invalid_client',
    );
    const encoded = basic(
      encodeURIComponent(app.client_id).replace('_', '%5F'), encodeURIComponent(app.client_secret).replace('_', '%5F'),
    );
    ok(await post('token', credentials(), encoded));
  });

  it('may introspect only with a secret', async () => {
    const { access_token: token } = await honest();
    refused(await post('introspect', { token }, {}), 401, 'invalid_client');
    refused(await post('introspect', { token, client_id: desk.client_id }, {}), 401, 'invalid_client');
    refused(await post('introspect', {}), 400, 'invalid_request');
    const { active, client_id: id } = ok(await post('introspect', { token }));
    assert.deepEqual([active, id], [true, app.client_id]);
  });

  it('are told nothing of what is not theirs, or is nothing', async () => {
    const { access_token: token } = await honest();
    const stranger = await here.server.app(
      'Stranger', 'Nordwind Trading', { redirectUris: ['https://s.example/cb'], scopes: [SCOPE] },
    );
    const by = basic(stranger.client_id, stranger.client_secret);
    const forged = `${token.split('.').slice(0, 2).join('.')}.${random(64)}`;
    for (const [name, text, headers] of [
      ['another\'s', token, by], ['garbage', 'x'], ['empty JWT', '..'], ['forged', forged], ['4 kB', 'x'.repeat(4_000)],
      ['NUL', '\u0000'], ['client id', app.client_id],
    ]) {
      assert.equal(
        (await post('introspect', { token: text }, headers)).text.replace(/\s/g, ''), '{"active":false}', name,
      );
      const revoked = await post('revoke', { token: text }, headers);
      assert.ok([200, 400].includes(revoked.status), `${name}: ${revoked.status}`);
      if (name !== 'another\'s') assert.equal(revoked.status, 200, name);
    }
    assert.equal(ok(await post('introspect', { token })).active, true, 'a stranger\'s revocation did nothing');
    assert.equal(
      ok(await post('introspect', { token }, basic(guard.client_id, guard.client_secret))).active, true,
      'a resource server sees it',
    );
    for (const hint of ['refresh_token', 'nonsense', 'access_token']) ok(await post(
      'introspect', { token, token_type_hint: hint },
    ));
    assert.equal((await post('revoke', { token, token_type_hint: 'nonsense' })).status, 200);
    assert.equal((await post('introspect', { token })).text.replace(/\s/g, ''), '{"active":false}');
  });
});

describe('answers', () => {
  it('are JSON that nobody keeps, whatever is accepted', async () => {
    for (const endpoint of ENDPOINTS) {
      const answer = await send(at(endpoint), {
        form: {}, headers: { ...own(), accept: 'text/html', origin: 'https://evil.example' },
      });
      refused(answer, 400, 'invalid_request', endpoint);
      assert.match(answer.headers['cache-control'], /no-store/, endpoint);
      assert.equal(answer.headers['access-control-allow-origin'], undefined, endpoint);
      assert.equal(answer.headers['set-cookie'], undefined, endpoint);
    }
    const { token_type: type } = await honest();
    assert.equal(type, 'Bearer');
  });

  it('come from exact paths alone', async () => {
    for (const target of [
      '/oauth/token/', '//oauth/token', '/oauth/%74oken', '/oauth/token;x', '/OAUTH/token', '/oauth/./token',
      '/oauth/x/../token', '/oauth', '/unknown', '/.env', '/oauth/token%00',
    ]) {
      const answer = await send(here.server.issuer, { method: 'POST', target, form: credentials(), headers: own() });
      assert.equal(answer.status, 404, target);
    }
  });

  it('do not depend on the Host', async () => {
    for (const host of ['evil.example', 'evil.example:80', '']) {
      const answer = await send(`${here.server.issuer}/.well-known/oauth-authorization-server`, { headers: {
        host, 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https',
      } });
      assert.ok(answer.status === 200 || (answer.status >= 400 && answer.status < 500), `${host}: ${answer.status}`);
      assert.doesNotMatch(answer.text, /evil/);
    }
  });
});
