// The form endpoints: methods, paths, content types, encodings, doubled fields, bodies that are too large.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { Talk, ok, refused, send, sendRaw } from './lib/http.mjs';
import { UNTHROTTLED, world } from './lib/kit.mjs';

const here = world({ settings: UNTHROTTLED }, prepare);
const ENDPOINTS = ['token', 'par', 'revoke', 'introspect'];
const FORM = 'application/x-www-form-urlencoded';
const SCOPE = 'makepay:payment-links:read';
let app;

async function prepare() {
  app = await App.register(here.server);
}

const at = (endpoint) => app.at(`/oauth/${endpoint}`);
const post = (endpoint, form, headers) => send(at(endpoint), { form, headers: { ...app.credentials, ...headers } });
const raw = (endpoint, body, type) => send(at(endpoint), {
  body, headers: { ...app.credentials, 'content-type': type },
});
const credentials = (changes) => ({ grant_type: 'client_credentials', scope: SCOPE, ...changes });
const honest = async () => ok(await post('token', credentials()));

describe('methods', () => {
  const DOCUMENTS = [
    '/.well-known/oauth-authorization-server', '/.well-known/oauth-protected-resource', '/oauth/jwks.json',
  ];
  const allowed = {
    ...Object.fromEntries(ENDPOINTS.map((endpoint) => [`/oauth/${endpoint}`, ['POST']])),
    ...Object.fromEntries(DOCUMENTS.map((path) => [path, ['GET', 'HEAD']])),
  };

  it('of a revocation are no script\'s: nothing is called back', async () => {
    const { access_token: token } = await honest();
    const path = `/oauth/revoke?token=${token}&callback=steal`;
    assert.equal((await send(app.at(path), { headers: app.credentials })).status, 405);
    refused(await send(app.at(path), { form: {}, headers: app.credentials }), 400, 'invalid_request');
    refused(await send(app.at('/oauth/revoke?callback=steal'), { form: { token }, headers: app.credentials }), 400, 'invalid_request');
    assert.equal(ok(await app.introspect(token)).active, true);
    const answer = await post('revoke', { token, callback: 'steal' });
    assert.deepEqual([answer.status, answer.text, answer.headers['content-type']], [200, '', undefined]);
    assert.deepEqual(ok(await post('introspect', { token, callback: 'steal' })), { active: false });
  });

  it('that are not allowed are 405, and Allow names the others', async () => {
    for (const [path, methods] of Object.entries(allowed)) {
      for (const method of [
        'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE',
      ].filter((one) => !methods.includes(one))) {
        const answer = await send(app.at(path), { method });
        assert.equal(answer.status, 405, `${method} ${path}`);
        const named = answer.headers.allow.split(/\s*,\s*/).filter((one) => one !== 'OPTIONS').sort();
        assert.deepEqual(named, methods, `${method} ${path}`);
      }
    }
  });

  it('HEAD has no body, and everybody may read the documents', async () => {
    for (const path of DOCUMENTS) {
      const head = await send(app.at(path), { method: 'HEAD' });
      assert.deepEqual([head.status, head.body.length], [200, 0], path);
      const { headers } = await send(app.at(path), { headers: { origin: 'https://any.example' } });
      assert.equal(headers['access-control-allow-origin'], '*', path);
      assert.equal(headers['access-control-allow-credentials'], undefined, path);
    }
  });

  it('count nothing that stands in the query', async () => {
    const query = new URLSearchParams({ ...credentials(), client_id: app.id, client_secret: app.secret });
    assert.equal((await send(`${at('token')}?${query}`)).status, 405);
    refused(await send(`${at('token')}?${query}`, { form: {} }), [400, 401], ['invalid_request', 'invalid_client']);
  });
});

describe('bodies', () => {
  const form = new URLSearchParams(credentials()).toString();

  it('are forms, said to be forms', async () => {
    const others = [
      ['application/json', JSON.stringify(credentials())], ['text/plain', form],
      ['multipart/form-data; boundary=x', form], ['', form],
      [`${FORM}x`, form], [`${FORM}; charset=latin1`, form], [`${FORM}; charset=utf-16`, form],
    ];
    for (const endpoint of ENDPOINTS) {
      for (const [type, body] of others) {
        refused(await raw(endpoint, body, type), [400, 415], 'invalid_request', `${endpoint} ${type}`);
      }
    }
    for (const type of [`${FORM}; charset=UTF-8`, 'Application/X-WWW-Form-Urlencoded']) ok(
      await raw('token', form, type), 200, type,
    );
    const packed = await post('token', form, { 'content-encoding': 'gzip' });
    refused(packed, 415, 'invalid_request', 'packed');
  });

  it('are small', async () => {
    const large = {
      '1 MB of one field': `grant_type=${'x'.repeat(1_000_000)}`,
      '1 MB of many': Array.from({ length: 100_000 }, (_, n) => `a${n}=b`).join('&'),
      'one field of 200 kB': `grant_type=client_credentials&x=${'y'.repeat(200_000)}`,
    };
    for (const endpoint of ENDPOINTS) {
      for (const [name, text] of Object.entries(large)) {
        const answer = await post(endpoint, text);
        assert.ok([400, 413].includes(answer.status), `${endpoint} ${name}: ${answer.status}`);
      }
    }
    await honest();
  });

  it('may be chunked, but not lie about their length', async () => {
    ok(await post('token', credentials(), { 'transfer-encoding': 'chunked' }));
    const { host } = new URL(here.server.issuer);
    const line = `POST /oauth/token HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Type: ${FORM}\r\n`;
    for (const headers of [
      'Content-Length: 5\r\nContent-Length: 6\r\n', 'Content-Length: x\r\n', 'Content-Length: -1\r\n',
      'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n',
      'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
    ]) {
      assert.match(await sendRaw(here.server.issuer, `${line}${headers}\r\n0\r\n\r\n`), /^HTTP\/1\.1 4\d\d /, headers);
    }
    await honest();
  });

  it('are waited for when a client asks whether to send them', async () => {
    const talk = await Talk.with(here.server.issuer);
    const content = new URLSearchParams(credentials()).toString();
    const [{ authorization }, { host }] = [app.credentials, new URL(here.server.issuer)];
    const head = (length) => `POST /oauth/token HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${FORM}\r\n`
      + `Authorization: ${authorization}\r\nContent-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`;
    for (let time = 0; time < 2; time += 1) {
      talk.write(head(content.length));
      await talk.heard(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
      talk.write(content);
      await talk.heard(/^HTTP\/1\.1 200 OK\r\n[\s\S]*"token_type":"Bearer"[^}]*}$/);
    }
    // What is refused without the body is refused at once, and the connection is not read on as if it had come.
    talk.write(head(content.length).replace(FORM, 'text/plain'));
    await talk.heard(/^HTTP\/1\.1 400 [\s\S]*"invalid_request"/);
    await talk.ended();
  });

  it('are as long as they say', async () => {
    const content = new URLSearchParams(credentials()).toString();
    const { host } = new URL(here.server.issuer);
    const message = (length, body) => `POST /oauth/token HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${FORM}\r\n`
      + `Authorization: ${app.credentials.authorization}\r\nContent-Length: ${length}\r\n\r\n${body}`;
    const exact = await sendRaw(here.server.issuer, message(content.length, content).replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    assert.match(exact, /^HTTP\/1\.1 200 OK/);
    // Less is said than comes: the beginning is judged, and what is over begins no request.
    const less = await sendRaw(here.server.issuer, message(content.indexOf('&') - 1, content));
    assert.match(less, /^HTTP\/1\.1 400 /);
    assert.equal(less.match(/^HTTP\/1\.1 /gm).filter((_, at) => at > 1).length, 0, less);
    assert.doesNotMatch(less, /access_token/);
    // More is said than comes: nothing is done with the half.
    const talk = await Talk.with(here.server.issuer);
    talk.write(message(content.length + 1, content));
    talk.end();
    assert.doesNotMatch(await talk.ended(), /^HTTP\/1\.1 2/);
    await honest();
  });

  it('have one end, however many are named', async () => {
    const { host } = new URL(here.server.issuer);
    const content = new URLSearchParams(credentials()).toString();
    const chunked = `${content.length.toString(16)}\r\n${content}\r\n0\r\n\r\n`;
    const hidden = `GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const both = [`Content-Length: ${chunked.length}`, 'Transfer-Encoding: chunked'];
    const shorter = ['Content-Length: 4', 'Transfer-Encoding: chunked'];
    for (const framing of [both, [...both].reverse(), shorter, [...shorter].reverse()]) {
      // Nobody asks for the connection to be closed: it is, since who is before us may have read another end (RFC 9112 §6.1).
      const said = await sendRaw(here.server.issuer, [
        'POST /oauth/token HTTP/1.1', `Host: ${host}`, `Content-Type: ${FORM}`,
        `Authorization: ${app.credentials.authorization}`, ...framing, '', `${chunked}${hidden}`,
      ].join('\r\n'));
      assert.equal(said.match(/^HTTP\/1\.1 /gm).length, 1, said);
      assert.doesNotMatch(said, /token_endpoint/, framing.join());
      assert.match(said, /^connection: close\r$/im);
    }
    // Alone each is what it says, and the connection goes on.
    const talk = await Talk.with(here.server.issuer);
    for (const framing of [['Transfer-Encoding: chunked', chunked], [`Content-Length: ${content.length}`, content]]) {
      talk.write([
        'POST /oauth/token HTTP/1.1', `Host: ${host}`, `Content-Type: ${FORM}`,
        `Authorization: ${app.credentials.authorization}`, framing[0], '', `${framing[1]}`,
      ].join('\r\n'));
      await talk.heard(/^HTTP\/1\.1 200 OK\r\n[\s\S]*"token_type":"Bearer"[^}]*}$/);
    }
    talk.write(hidden);
    await talk.heard(/^HTTP\/1\.1 200 OK\r\n[\s\S]*"token_endpoint"/);
    talk.end();
    await talk.ended();
  });

  it('are strictly encoded', async () => {
    for (const odd of ['%zz', '%', '%4', '%ff', '%c0%80', '%ed%a0%80', '%f5%80%80%80']) {
      const scope = await post('token', `grant_type=client_credentials&scope=${odd}`);
      refused(scope, 400, ['invalid_request', 'invalid_scope'], odd);
      const grant = await post('token', `grant_type=client_credentials${odd}`);
      refused(grant, 400, ['invalid_request', 'unsupported_grant_type'], odd);
    }
    const bytes = Buffer.from('grant_type=client_credentials&scope=\xff', 'latin1');
    refused(await raw('token', bytes, FORM), 400, ['invalid_request', 'invalid_scope']);
  });
});

describe('fields', () => {
  const FIELDS = {
    token: [
      'grant_type', 'client_id', 'client_secret', 'code', 'redirect_uri', 'code_verifier', 'refresh_token', 'scope',
    ],
    par: [
      'response_type', 'client_id', 'redirect_uri', 'scope', 'state', 'code_challenge', 'code_challenge_method',
      'dpop_jkt',
    ],
    revoke: ['token', 'token_type_hint', 'client_id'],
    introspect: ['token', 'token_type_hint', 'client_id'],
  };

  for (const [endpoint, names] of Object.entries(FIELDS)) {
    it(`come once: ${endpoint}`, async () => {
      const usual = { grant_type: 'client_credentials', token: 'x', client_id: app.id };
      for (const name of names) {
        const rest = Object.entries(usual).filter(([one]) => one !== name);
        const value = usual[name] ?? 'same';
        for (const second of [value, 'other']) {
          const answer = await post(endpoint, [...rest, [name, value], [name, second]]);
          refused(answer, 400, 'invalid_request', `${name} ${second}`);
        }
      }
      await honest();
    });
  }

  it('have plain names', async () => {
    for (const form of [
      'grant_type[]=client_credentials', 'grant_type[a]=client_credentials', '__proto__=x', 'constructor=x', '=x',
      '&&&',
      'Grant_Type=client_credentials', `${'n'.repeat(60_000)}=x`,
    ]) refused(await post('token', form), 400, 'invalid_request', form.slice(0, 40));
  });

  it('name a grant type that there is', async () => {
    for (const form of ['', 'grant_type=', `scope=${SCOPE}`]) refused(
      await post('token', form), 400, 'invalid_request', form,
    );
    for (const grant of [
      'password', 'implicit', 'CLIENT_CREDENTIALS', 'client_credentials ',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'urn:ietf:params:oauth:grant-type:token-exchange', 'x'.repeat(10_000),
    ]) refused(await post('token', { grant_type: grant }), 400, 'unsupported_grant_type', grant.slice(0, 30));
    for (const form of [
      { grant_type: 'authorization_code' }, { grant_type: 'authorization_code', code: 'x' },
      { grant_type: 'refresh_token' },
    ]) {
      refused(await post('token', form), 400, ['invalid_request', 'invalid_grant'], JSON.stringify(form));
    }
  });

  it('name scopes and resources that there are', async () => {
    for (const scope of [
      'unknown', 'openid', 'offline_access', 'company:write', `${SCOPE}  ${SCOPE}`, `"${SCOPE}"`, `${SCOPE}\u0000`,
    ]) {
      refused(await post('token', credentials({ scope })), 400, 'invalid_scope', scope);
    }
    for (const resource of ['https://evil.example', `${here.server.audience}/`, '/api', 'x']) {
      refused(await post('token', credentials({ resource })), 400, 'invalid_target', resource);
    }
    const two = ['https://evil.example', here.server.audience].map((resource) => ['resource', resource]);
    refused(
      await post('token', [...Object.entries(credentials()), ...two]), 400, ['invalid_target', 'invalid_request'],
    );
  });
});

describe('answers', () => {
  it('are JSON that nobody keeps, whatever is accepted', async () => {
    for (const endpoint of ENDPOINTS) {
      const answer = await post(endpoint, {}, { accept: 'text/html', origin: 'https://evil.example' });
      refused(answer, 400, 'invalid_request', endpoint);
      assert.match(answer.headers['cache-control'], /no-store/, endpoint);
      assert.equal(answer.headers['access-control-allow-origin'], undefined, endpoint);
      assert.equal(answer.headers['set-cookie'], undefined, endpoint);
    }
    assert.equal((await honest()).token_type, 'Bearer');
  });

  it('are for no other site\'s script', async () => {
    // Not even the one that the application's own callback is at.
    const origins = ['null', 'https://evil.example', new URL(app.redirectUri).origin, here.server.issuer];
    const desk = await App.register(here.server, { name: 'Desk', flags: ['--public'] });
    for (const origin of origins) {
      for (const path of [
        ...ENDPOINTS.map((endpoint) => `/oauth/${endpoint}`), '/oauth/authorize', '/oauth/native/installations', '/api/partner/v1/company',
      ]) {
        const asked = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'dpop' };
        for (const method of ['OPTIONS', 'GET']) {
          const answer = await send(`${here.server.issuer}${path}`, { method, headers: asked });
          const allowed = Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'));
          assert.deepEqual(allowed, [], `${method} ${path}`);
          if (method === 'OPTIONS') assert.ok(answer.status >= 400, `${path}: ${answer.status}`);
        }
      }
      const given = await desk.token(await desk.authorize(here.browser), { origin });
      const { access_token: token } = ok(given, 200, origin);
      const called = await send(app.at('/api/partner/v1/company'), { headers: { origin, authorization: `Bearer ${token}` } });
      ok(called, 200, origin);
      for (const answer of [given, called]) {
        assert.deepEqual(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-')), [], origin);
      }
    }
  });

  it('come from exact paths alone', async () => {
    for (const target of [
      '/oauth/token/', '//oauth/token', '/oauth/%74oken', '/oauth/token;x', '/OAUTH/token', '/oauth/./token',
      '/oauth/x/../token', '/oauth',
      '/unknown', '/.env', '/oauth/token%00',
    ]) {
      const answer = await send(here.server.issuer, {
        method: 'POST', target, form: credentials(), headers: app.credentials,
      });
      assert.equal(answer.status, 404, target);
    }
  });

  it('do not depend on the Host', async () => {
    for (const host of ['evil.example', 'evil.example:80', '']) {
      const answer = await send(app.at('/.well-known/oauth-authorization-server'), {
        headers: { host, 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' },
      });
      assert.ok(answer.status === 200 || (answer.status >= 400 && answer.status < 500), `${host}: ${answer.status}`);
      assert.doesNotMatch(answer.text, /evil/);
    }
  });
});
