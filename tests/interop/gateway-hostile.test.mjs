// Gateway mode under attack, and in trouble: paths, forged headers, smuggling; an API that hangs, dies, floods and
// redirects; callers who go away.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { jwtVerify, createRemoteJWKSet } from 'jose';

import { App, CALLBACK } from './lib/app.mjs';
import { ok, refused, send, sendRaw } from './lib/http.mjs';
import { Browser, Server, UNTHROTTLED } from './lib/kit.mjs';
import { certificate } from './lib/mail.mjs';
import { SHUT_PORT, temporaryDirectory } from './lib/processes.mjs';
import { Upstream } from './lib/upstream.mjs';

const SCOPES = ['makepay:payment-links:read', 'makepay:payment-links:write'];
const here = {};

/** What an API is allowed: far longer than a busy machine takes, but where a test waits for the end of it. */
const upstream = (name, url, { more = '', connect: wait = 60, answer = 60, total = 120 } = {}) => `
[[upstream]]
name = "${name}"
prefix = "/v1/${name}"
url = "${url}"
max_body = 200000
max_signed_body = 1000
max_answer = 100000
connect_seconds = ${wait}
answer_seconds = ${answer}
total_seconds = ${total}
${more}
rules = [
  { methods = ["GET"], scopes = ["makepay:payment-links:read"] },
  { methods = ["POST", "PUT"], scopes = ["makepay:payment-links:write"] },
]
`;

before(async () => {
  here.directory = temporaryDirectory();
  const socket = join(here.directory.path, 'api.sock');
  here.upstream = await Upstream.start();
  here.flooded = await Upstream.start();
  here.local = await Upstream.start({ socket });
  const [trusted, stranger] = ['trusted', 'stranger'].map((name) => {
    mkdirSync(join(here.directory.path, name));
    return certificate(join(here.directory.path, name));
  });
  const secured = ({ key, chain }) => Upstream.start({ tls: { key: readFileSync(key), cert: readFileSync(chain) } });
  [here.secure, here.stranger] = await Promise.all([secured(trusted), secured(stranger)]);
  const settings = [
    UNTHROTTLED, upstream('orders', `${here.upstream.url}/inner`),
    upstream('slashed', here.upstream.url, { more: 'trailing_slashes = true' }),
    upstream('flooded', here.flooded.url), upstream('hasty', here.upstream.url, { answer: 2 }),
    upstream('pausing', here.upstream.url, { answer: 6 }),
    upstream('one', here.upstream.url, { more: 'connections = 1', connect: 2 }),
    upstream('shared', here.upstream.url, { more: 'connections = 2\nconnections_per_client = 1' }),
    upstream('local', 'http://orders.internal/here', { more: `socket = "${socket}"` }),
    upstream('shut', `http://127.0.0.1:${SHUT_PORT}`),
    upstream('secure', `https://127.0.0.1:${here.secure.port}`),
    upstream('misnamed', `https://localhost:${here.secure.port}`),
    upstream('stranger', `https://127.0.0.1:${here.stranger.port}`),
    upstream('insecure', `https://127.0.0.1:${here.upstream.port}`),
    `[outbound]\ncertificates = "${trusted.authority}"\n`,
  ].join('');
  here.server = await Server.start({ settings });
  await here.server.company('Nordwind Trading');
  here.browser = new Browser(await here.server.person('merchant@shop.example', 'Nordwind Trading'));
  const app = await App.register(here.server, { redirectUris: [CALLBACK], scopes: SCOPES });
  here.app = app;
  here.token = ok(await app.token(await app.authorize(here.browser))).access_token;
  const other = await App.register(here.server, { name: 'Till', redirectUris: [CALLBACK], scopes: SCOPES });
  here.another = ok(await other.token(await other.authorize(here.browser))).access_token;
  here.keys = createRemoteJWKSet(new URL(`${here.server.issuer}/oauth/jwks.json`), { timeoutDuration: 60_000 });
});

after(async () => {
  await here.server?.stop();
  await here.upstream?.stop();
  await here.flooded?.stop();
  await here.local?.stop();
  await here.secure?.stop();
  await here.stranger?.stop();
  here.directory?.remove();
});

const call = (method, path, { headers, ...rest } = {}) => send(here.server.issuer, {
  method, target: path, ...rest, headers: { authorization: `Bearer ${here.token}`, ...headers },
});

/** A request as it is written. */
const raw = (text) => sendRaw(here.server.issuer, text.replaceAll('TOKEN', here.token));

const taken = () => here.upstream.taken().map(({ method, url }) => `${method} ${url}`);

describe('what is sent', () => {
  before(() => { here.upstream.answers = undefined; });

  it('paths that could be read in two ways are refused', async () => {
    for (const path of [
      '/v1/orders/', '/v1/orders//7', '/v1/orders/7/', '/v1/orders/.', '/v1/orders/..', '/v1/orders/../admin',
      '/v1/orders/7/../../admin', '/v1/orders/..%2fadmin', '/v1/orders/%2e%2e/admin', '/v1/orders/%2E%2E%2Fadmin',
      '/v1/orders/.%2e/admin', '/v1/orders/%252e%252e', '/v1/orders/%5c..', '/v1/orders/%00', '/v1/orders/7%00.json',
      '/v1/orders/%0d%0ax', '/v1/orders/7;a=b', '/v1/orders/..;/admin', '/v1/orders/%3b', '/v1/orders/%c0%ae%c0%ae',
      '/v1/orders/%ff', '/v1/orders/%', '/v1/orders/%zz', '/v1/orders/%61', '/v1/orders/7.', '/v1/orders/7%20',
      '/v1/orders/%EF%BC%8E%EF%BC%8E', `/v1/orders/${'a'.repeat(1100)}`, '/v1/slashed//', '/v1/slashed/7//',
    ]) {
      const answer = await call('GET', path);
      assert.ok([400, 404].includes(answer.status), `${path}: ${answer.status}`);
      assert.ok(['invalid_path', 'not_found'].includes(answer.json.error), `${path}: ${answer.text}`);
    }
    for (const path of ['/v1/orders%2f7', '/v1//orders', '//v1/orders', '/v1/./orders', '/v1/x/../orders', '/V1/orders', '/v1/Orders', '/v1/orders%2e']) {
      assert.equal((await call('GET', path)).status, 404, path);
    }
    for (const line of ['GET /v1/orders\\..\\admin', 'GET http://evil.example/v1/orders', 'GET /v1/orders/\u00e9', 'GET v1/orders', 'GET * ', 'CONNECT 127.0.0.1:80']) {
      const said = await raw(`${line} HTTP/1.1\r\nHost: pay.example\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n\r\n`);
      assert.match(said, /^HTTP\/1\.1 4\d\d /, line);
    }
    assert.deepEqual(taken(), []);
  });

  it('honest paths arrive as the bytes that were sent', async () => {
    for (const [path, arrives] of [
      ['/v1/orders/caf%c3%A9?q=%2e%2e%2F..;/x&a[]=1', '/inner/caf%c3%A9?q=%2e%2e%2F..;/x&a[]=1'],
      ['/v1/orders?', '/inner?'], ['/v1/orders/7@b,c:d', '/inner/7@b,c:d'], ['/v1/slashed/', '/'],
      ['/v1/slashed/7/', '/7/'], ['/v1/slashed', '/'], [`/v1/orders?${'q'.repeat(8000)}`, `/inner?${'q'.repeat(8000)}`],
    ]) {
      assert.equal((await call('GET', path)).status, 200, path);
      assert.deepEqual(taken(), [`GET ${arrives}`]);
    }
  });

  it('nobody forges an identity, or has one taken away', async () => {
    const said = await raw([
      'POST /v1/orders HTTP/1.1', 'Host: pay.example', 'Authorization: Bearer TOKEN', 'Counterfoil-Identity: forged',
      'counterfoil-identity: forged', 'COUNTERFOIL_IDENTITY: forged', 'Counterfoil_Identity: forged',
      'Counterfoil.Identity: forged', 'Counterfoil-Company: forged', 'X-Forwarded-For: 1.1.1.1', 'X_Forwarded_For: 1.1.1.1',
      'Forwarded: for=1.1.1.1', 'Cookie: a=b', 'X-Hop: hop', 'Content-Length: 2', 'Keep-Alive: timeout=9',
      'Connection: close, counterfoil-identity, host, content-length, x-hop', 'TE: trailers', 'Upgrade: websocket', '', 'hi',
    ].join('\r\n'));
    assert.match(said, /^HTTP\/1\.1 200 /);
    const [seen] = here.upstream.taken();
    const names = seen.rawHeaders.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase()).sort();
    assert.deepEqual(names, ['content-length', 'counterfoil-identity', 'host', 'via']);
    const { payload } = await jwtVerify(seen.headers['counterfoil-identity'], here.keys, { audience: 'orders' });
    assert.deepEqual([payload.client_id, payload.ip], [here.app.id, '127.0.0.1']);
    assert.equal(seen.body.toString(), 'hi');
  });

  it('nothing is smuggled in one message', async () => {
    const head = 'POST /v1/orders HTTP/1.1\r\nHost: pay.example\r\nAuthorization: Bearer TOKEN\r\n';
    const smuggled = 'GET /v1/orders/smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
    for (const framing of [
      `Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      `Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`,
      `Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${smuggled}`,
      `Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
      `Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      `Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      `Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
      `Content-Length: +0\r\n\r\n${smuggled}`,
      `Content-Length: 0,${smuggled.length}\r\n\r\n${smuggled}`,
      `Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n${smuggled}`,
      `Transfer-Encoding: chunked\r\n\r\n1;\n\r\na\r\n0\r\n\r\n${smuggled}`,
    ]) {
      const said = await raw(`${head}Connection: close\r\n${framing}`);
      const answers = said.split(/^HTTP\/1\.1 /m).length - 1;
      const reached = taken();
      // Refused, or the first message alone: what follows it has no token, and would be answered for itself.
      assert.ok(answers <= 1 && reached.every((line) => line === 'POST /inner') && reached.length <= 1, `${framing}: ${said} ${reached}`);
    }
    here.upstream.taken();
  });

  it('trailers end here', async () => {
    const said = await raw('POST /v1/orders HTTP/1.1\r\nHost: pay.example\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n'
      + 'Transfer-Encoding: chunked\r\nTrailer: Counterfoil-Identity\r\n\r\n2\r\nhi\r\n0\r\nCounterfoil-Identity: forged\r\n\r\n');
    assert.match(said, /^HTTP\/1\.1 200 /);
    const [seen] = here.upstream.taken();
    assert.deepEqual([seen.body.toString(), seen.headers['content-length'], seen.request.trailers], ['hi', '2', {}]);
    assert.notEqual(seen.headers['counterfoil-identity'], 'forged');
  });

  it('a body has a bound, and a digest as far as it is read whole', async () => {
    for (const [size, chunked] of [[1000, false], [1000, true], [1001, false], [1001, true], [200_000, true], [200_000, false]]) {
      const body = Buffer.alloc(size, 'x');
      const headers = chunked ? { 'transfer-encoding': 'chunked' } : {};
      assert.equal((await call('PUT', '/v1/orders', { body, headers })).status, 200, `${size}`);
      const [seen] = here.upstream.taken();
      assert.ok(seen.body.equals(body), `${size}`);
      const { payload } = await jwtVerify(seen.headers['counterfoil-identity'], here.keys);
      assert.equal('content_digest' in payload, size <= 1000, `${size}`);
      assert.equal(seen.headers['content-length'], size > 1000 && chunked ? undefined : `${size}`);
    }
    refused(await call('PUT', '/v1/orders', { body: Buffer.alloc(200_001) }), 413, 'invalid_request');
    assert.deepEqual(taken(), []);
    // This one is known to be too long when its beginning is on its way: it arrives broken, soon, later or not at all.
    refused(await call('PUT', '/v1/flooded', { body: Buffer.alloc(400_000), headers: { 'transfer-encoding': 'chunked' } }), 413, 'invalid_request');
    assert.ok(here.flooded.requests.every(({ ended }) => !ended));
  });
});

describe('what comes back', () => {
  it('is passed on, in no other name than its own', async () => {
    const base = here.upstream.url;
    here.upstream.answers = () => ({
      status: 418,
      headers: {
        'set-cookie': ['a=b', 'c=d'], 'dpop-nonce': 'n', 'counterfoil-identity': 'x', etag: '"1"', vary: ['a', 'b'],
        'strict-transport-security': 'max-age=0', 'www-authenticate': 'Basic', connection: 'x-hop', 'x-hop': '1',
        'content-type': 'text/x-pot', location: `${base}/inner/8?x#y`,
      },
      body: 'short',
    });
    const answer = await call('GET', '/v1/orders/7');
    assert.deepEqual([answer.status, answer.text, answer.headers.etag, answer.headers['content-type']], [418, 'short', '"1"', 'text/x-pot']);
    assert.equal(answer.headers.vary, 'a, b');
    assert.equal(answer.headers.location, `${here.server.issuer}/v1/orders/8?x#y`);
    for (const name of ['set-cookie', 'dpop-nonce', 'counterfoil-identity', 'strict-transport-security', 'www-authenticate', 'x-hop']) {
      assert.equal(answer.headers[name], undefined, name);
    }
    for (const [location, expected] of [['/outside', undefined], [`${base}/admin`, undefined], ['https://elsewhere.example/x', 'https://elsewhere.example/x']]) {
      here.upstream.answers = () => ({ status: 307, headers: { location } });
      const moved = await call('POST', '/v1/orders', { json: {} });
      assert.deepEqual([moved.status, moved.headers.location], [307, expected]);
    }
    assert.deepEqual(here.upstream.taken().map(({ method }) => method), ['GET', 'POST', 'POST', 'POST']);
  });

  it('keeps what has no body, and the answers to HEAD', async () => {
    for (const [status, headers] of [[204, {}], [304, { etag: '"1"' }]]) {
      here.upstream.answers = () => ({ status, headers, body: '' });
      const answer = await call('GET', '/v1/orders');
      assert.deepEqual([answer.status, answer.text], [status, '']);
    }
    here.upstream.answers = () => ({ headers: { 'content-length': '999999' }, body: '' });
    const head = await call('HEAD', '/v1/orders');
    assert.deepEqual([head.status, head.headers['content-length']], [200, '999999']);
    here.upstream.taken();
  });

  it('is streamed', async () => {
    let finish;
    here.upstream.answers = () => ({
      begin: ({ response }) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('first\n');
        finish = () => response.end('last\n');
      },
    });
    const pieces = [];
    await new Promise((resolve, reject) => {
      const { hostname, port } = new URL(here.server.issuer);
      const socket = connect(port, hostname, () => {
        socket.write(`GET /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${here.token}\r\nConnection: close\r\n\r\n`);
      });
      socket.setTimeout(60_000, () => socket.destroy(new Error('no answer in time')));
      socket.on('error', reject);
      socket.on('data', (chunk) => {
        pieces.push(chunk.toString());
        // The end is written only when the beginning has come through.
        if (pieces.join('').includes('first')) finish?.();
        finish = undefined;
      });
      socket.on('close', resolve);
    });
    assert.match(pieces.join(''), /first[\s\S]*last[\s\S]*0\r\n\r\n$/);
    here.upstream.taken();
  });

  it('has a bound', async () => {
    here.upstream.answers = () => ({ body: Buffer.alloc(100_000) });
    assert.equal((await call('GET', '/v1/orders')).body.length, 100_000);
    here.upstream.answers = () => ({ headers: { 'content-length': '100001' }, body: Buffer.alloc(100_001) });
    refused(await call('GET', '/v1/orders'), 502, 'upstream_answer_too_large');
    here.upstream.answers = () => (({ response }) => {
      response.writeHead(200);
      for (let piece = 0; piece < 20; piece += 1) response.write(Buffer.alloc(10_000));
      response.end();
    });
    await assert.rejects(call('GET', '/v1/orders'), { code: 'ECONNRESET' }, 'broken off, so that nobody takes it for whole');
    here.upstream.answers = () => (({ response }) => {
      for (let piece = 0; piece < 200; piece += 1) response.setHeader(`x-${piece}`, 'a');
      response.end();
    });
    refused(await call('GET', '/v1/orders'), 502, 'upstream_broken');
    here.upstream.taken();
  });

  it('is waited for, but not for ever', async () => {
    here.upstream.answers = () => (() => {});
    refused(await call('POST', '/v1/hasty', { json: {} }), 504, 'upstream_timeout');
    await here.upstream.until(([request]) => request?.closed);
    assert.deepEqual(taken(), ['POST /'], 'once');
    here.upstream.answers = () => (({ response }) => { response.writeHead(200); response.write('begun'); });
    // The beginning has as long as a pause may be.
    await assert.rejects(call('GET', '/v1/pausing'), { code: 'ECONNRESET' }, 'it pauses for too long');
    await here.upstream.until(([request]) => request?.closed);
    here.upstream.taken();
  });

  it('an API that breaks off is asked again only when nothing can have happened', async () => {
    here.upstream.answers = ({ request }) => { request.socket.destroy(); return { begin: () => {} }; };
    refused(await call('POST', '/v1/orders', { json: {} }), 502, 'upstream_broken');
    assert.deepEqual(taken(), ['POST /inner']);
    refused(await call('GET', '/v1/orders'), 502, 'upstream_broken');
    assert.deepEqual(taken(), ['GET /inner', 'GET /inner']);
    here.upstream.answers = ({ request }) => {
      here.upstream.answers = undefined;
      request.socket.destroy();
      return { begin: () => {} };
    };
    assert.equal((await call('GET', '/v1/orders')).status, 200);
    assert.deepEqual(taken(), ['GET /inner', 'GET /inner']);
    for (const answer of ['garbage\r\n\r\n', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n']) {
      here.upstream.answers = () => ({ begin: ({ request }) => request.socket.end(answer) });
      refused(await call('POST', '/v1/orders', { json: {} }), 502, 'upstream_broken');
    }
    here.upstream.taken();
  });

  it('an API that is not there, or does not believe the gateway', async () => {
    const down = await call('GET', '/v1/shut');
    refused(down, 502, 'upstream_unreachable');
    assert.doesNotMatch(down.text, /127\.0\.0\.1|\d{4,5}/, 'nothing tells where it would be');
    for (const status of [401, 407]) {
      here.upstream.answers = () => ({ status, headers: { 'www-authenticate': 'Basic' } });
      const answer = await call('GET', '/v1/orders');
      refused(answer, 502, 'upstream_unauthorized');
      assert.equal(answer.headers['www-authenticate'], undefined);
    }
    here.upstream.taken();
  });
});

describe('who calls and goes away', () => {
  it('takes the request along', async () => {
    here.upstream.answers = ({ url }) => (url === '/' ? () => {} : undefined);
    const leaving = new AbortController();
    const left = assert.rejects(call('POST', '/v1/shared', { json: {}, signal: leaving.signal }), { name: 'AbortError' });
    await here.upstream.until(([request]) => request?.ended);
    // Another waits for the one place, and has it at once.
    const second = call('GET', '/v1/shared/2');
    leaving.abort();
    await left;
    await here.upstream.until(([request]) => request.closed);
    assert.equal((await second).status, 200);
    assert.deepEqual(taken(), ['POST /', 'GET /2']);
  });

  it('waits for a place, but not for long', async () => {
    here.upstream.answers = () => (({ response }) => {
      response.writeHead(200);
      const more = setInterval(() => response.write('.'), 300);
      response.once('close', () => clearInterval(more));
    });
    const leaving = new AbortController();
    const first = assert.rejects(call('GET', '/v1/one', { signal: leaving.signal }));
    await here.upstream.until(([request]) => request?.ended);
    const answer = await call('GET', '/v1/one');
    refused(answer, 503, 'upstream_busy');
    assert.equal(answer.headers['retry-after'], '1');
    leaving.abort();
    await first;
    await here.upstream.until(([request]) => request?.closed);
    here.upstream.taken();
  });
});

describe('one client', () => {
  it('takes no places of the others', async () => {
    here.upstream.answers = ({ url }) => (url === '/held' ? () => {} : undefined);
    const leaving = new AbortController();
    const held = assert.rejects(call('GET', '/v1/shared/held', { signal: leaving.signal }), { name: 'AbortError' });
    await here.upstream.until(([request]) => request?.ended);
    const mine = call('GET', '/v1/shared/mine');
    const authorization = `Bearer ${here.another}`;
    assert.equal((await call('GET', '/v1/shared/theirs', { headers: { authorization } })).status, 200);
    leaving.abort();
    await held;
    assert.equal((await mine).status, 200);
    assert.deepEqual(taken(), ['GET /held', 'GET /theirs', 'GET /mine']);
  });
});

describe('connections', () => {
  it('are kept', async () => {
    here.upstream.answers = undefined;
    for (let calls = 0; calls < 20; calls += 1) assert.equal((await call('GET', '/v1/orders')).status, 200);
    // One may be made beside another that is free again a moment too late.
    const used = new Set(here.upstream.taken().map(({ request }) => request.socket));
    assert.ok(used.size <= 10, `${used.size} connections for 20 calls`);
  });

  it('over https reach whom the certificate names, and nobody else', async () => {
    const answer = await call('POST', '/v1/secure/7', { json: { amount: 1 } });
    assert.deepEqual([answer.status, answer.text], [200, 'fine']);
    const [seen] = here.secure.taken();
    assert.deepEqual([seen.url, seen.body.toString(), seen.headers.host], ['/7', '{"amount":1}', `127.0.0.1:${here.secure.port}`]);
    for (const name of ['misnamed', 'stranger', 'insecure']) {
      refused(await call('POST', `/v1/${name}`, { json: { amount: 1 } }), 502, 'upstream_unreachable', name);
    }
    assert.deepEqual([here.secure.taken(), here.stranger.taken(), taken()], [[], [], []]);
  });

  it('go over a unix socket, where one is named', async () => {
    assert.equal((await call('GET', '/v1/local/7?a')).status, 200);
    const [seen] = here.local.taken();
    assert.deepEqual([seen.url, seen.headers.host], ['/here/7?a', 'orders.internal']);
    const { payload } = await jwtVerify(seen.headers['counterfoil-identity'], here.keys, { audience: 'local' });
    assert.equal(payload.path, '/here/7');
  });
});
