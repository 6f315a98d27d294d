// The client against a daemon that is played here: what it sends, and what it makes of every answer.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createNetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import * as bridge from '../src/index.mjs';

const { Client } = bridge;
const directory = mkdtempSync(join(tmpdir(), 'cf-bridge-'));
const socket = join(directory, 'api.sock');
let answers;
let seen;
let server;

const answer = (status, json, headers = {}) => ({ status, body: JSON.stringify(json), headers: { 'content-type': 'application/json', ...headers } });
const problem = (status, code, headers = {}) => answer(status, {
  type: `urn:counterfoil:problem:${code}`, title: 'T', status, code, detail: 'What happened.', next_step: 'What to do.',
}, { 'content-type': 'application/problem+json', ...headers });

before(async () => {
  server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (piece) => { text += piece; });
    request.on('end', () => {
      seen = { method: request.method, url: request.url, headers: request.headers, text };
      const { status, body, headers } = answers;
      response.writeHead(status, headers).end(body);
    });
  });
  await new Promise((resolve) => { server.listen(socket, resolve); });
});
after(async () => {
  await new Promise((resolve) => { server.close(resolve); });
  rmSync(directory, { recursive: true });
});

const client = (options = {}) => new Client({ plugin: 'my-plugin/1.0', socket, ...options });
const refusal = (work) => work().then(() => assert.fail('nothing was refused'), (error) => error);

describe('what is sent', () => {
  it('says who calls, and nothing of a browser', async () => {
    answers = answer(200, { state: 'connected', version: '0.1.0' });
    await client({ site: { home: 'https://shop.example/ä', blog: 2, path: '/var/www/shop one' } }).status();
    assert.equal(seen.method, 'GET');
    assert.equal(seen.url, '/v1/status');
    assert.equal(seen.headers.host, 'localhost');
    assert.equal(seen.headers['counterfoil-client'], 'my-plugin/1.0');
    assert.equal(seen.headers['counterfoil-site'], 'https://shop.example/%C3%A4; 2; /var/www/shop%20one');
    for (const name of ['origin', 'referer', 'cookie', 'x-forwarded-for', 'content-type']) assert.equal(seen.headers[name], undefined);
  });

  it('hands over bind, query and scopes as they are', async () => {
    answers = answer(200, { authorization_url: 'https://pay.example/a', expires_at: 1 });
    await client().connect({ bind: 'b'.repeat(64), scopes: ['company:read'] });
    assert.deepEqual([seen.url, JSON.parse(seen.text)], ['/v1/connect', { bind: 'b'.repeat(64), scopes: ['company:read'] }]);
    await client().callback({ query: 'code=a%20b&state=+c', bind: 'b' });
    assert.deepEqual([seen.url, JSON.parse(seen.text)], ['/v1/callback', { query: 'code=a%20b&state=+c', bind: 'b' }]);
    await client().connect();
    assert.equal(seen.text, '{}');
  });

  it('says whether the platform has confirmed the end', async () => {
    answers = answer(202, { state: 'disconnect_pending', summary: 's', next_step: 'n', leftover: null });
    assert.equal((await client().disconnect()).pending, true);
    answers = answer(200, { state: 'disconnected', summary: 's', next_step: 'n', leftover: null });
    assert.equal((await client().disconnect({ forget: true })).pending, false);
    assert.deepEqual(JSON.parse(seen.text), { forget: true });
  });

  it('forwards method, path, query, body and Idempotency-Key', async () => {
    answers = answer(201, { paymentLink: { uid: 'u' } });
    const { status, json } = await client().request('POST', 'makepay/payment-links', {
      json: { payload: { amount: '19.90' } }, idempotencyKey: 'order-1042', query: { limit: '5' },
    });
    assert.deepEqual([status, json.paymentLink.uid], [201, 'u']);
    assert.deepEqual([seen.method, seen.url, seen.text], ['POST', '/v1/api/makepay/payment-links?limit=5', '{"payload":{"amount":"19.90"}}']);
    assert.equal(seen.headers['idempotency-key'], 'order-1042');
  });

  it('hands over the raw bytes of a notification', async () => {
    answers = answer(200, { event: {}, type: null });
    await client().verifyWebhook({ headers: { 'x-a': ['1', '2'] }, body: Buffer.from([0, 255, 10]) });
    assert.deepEqual(JSON.parse(seen.text), { headers: { 'x-a': ['1', '2'] }, body_base64: 'AP8K' });
  });

  it('hands over a challenge', async () => {
    answers = answer(200, { proof: 'a.b.c' });
    assert.deepEqual(await client().ownership('nonce', 'mco_app_1'), { proof: 'a.b.c' });
    assert.deepEqual(JSON.parse(seen.text), { nonce: 'nonce', client_id: 'mco_app_1' });
  });

  it('refuses wrong arguments before anything is sent', async () => {
    seen = null;
    for (const plugin of [undefined, '', 'my-plugin', 'a/b/c', 'a b/1', `${'a'.repeat(65)}/1`]) {
      assert.throws(() => new Client({ plugin, socket }), bridge.CallRefused, String(plugin));
    }
    for (const idempotencyKey of ['short', 'with space', 'x'.repeat(201), 'ümlaut-key']) {
      const error = await refusal(() => client().request('POST', 'a', { idempotencyKey }));
      assert.ok(error instanceof bridge.CallRefused);
    }
    assert.throws(() => bridge.siteHeader({ home: 'https://a', blog: 0, path: '/' }), TypeError);
    assert.equal(seen, null);
  });
});

describe('what comes back', () => {
  const KINDS = [
    ['DaemonFailed', 503, 'degraded'], ['DaemonFailed', 500, 'internal'],
    ['PermissionDenied', 403, 'caller_refused'], ['PermissionDenied', 403, 'steward_only'],
    ['VersionMismatch', 404, 'not_found'], ['SafeMode', 409, 'safe_mode'], ['SafeMode', 409, 'site_mismatch'],
    ['NotConnected', 409, 'not_connected'], ['NotConnected', 409, 'reconnect_required'],
    ['ConnectFailed', 403, 'callback_denied'], ['ConnectFailed', 410, 'callback_expired'],
    ['TryLater', 503, 'callback_pending'], ['TryLater', 429, 'too_many_requests'], ['TryLater', 409, 'connect_in_progress'],
    ['TryLater', 503, 'webhook_pending'], ['WebhookRefused', 401, 'webhook_signature_invalid'],
    ['CallRefused', 400, 'path_refused'], ['CallRefused', 400, 'a_code_of_tomorrow'],
    ['TryLater', 503, 'a_code_of_tomorrow'], ['DaemonFailed', 502, 'a_code_of_tomorrow'],
  ];
  for (const [kind, status, code] of KINDS) {
    it(`${code} (${status}) is ${kind}`, async () => {
      answers = problem(status, code, { 'retry-after': '7' });
      for (const work of [() => client().status(), () => client().request('GET', 'makepay/payment-links')]) {
        const error = await refusal(work);
        assert.equal(error.constructor, bridge[kind]);
        assert.ok(error instanceof bridge.CounterfoilError);
        assert.deepEqual(
          [error.name, error.code, error.status, error.message, error.nextStep, error.retryAfter],
          [kind, code, status, 'What happened.', 'What to do.', 7],
        );
      }
    });
  }

  it('an answer of the platform of 400 and above is PlatformRefused, whatever it looks like', async () => {
    for (const [given, code, message] of [
      [answer(404, { error: 'payment_link_not_found', error_description: 'No such link.' }), 'payment_link_not_found', 'No such link.'],
      [answer(409, { errorCode: 'payment_link_has_session' }), 'payment_link_has_session', 'The payment platform answered 409.'],
      [{ status: 502, body: '<html>', headers: { 'content-type': 'text/html' } }, 'http_502', 'The payment platform answered 502.'],
      [answer(401, null), 'http_401', 'The payment platform answered 401.'],
    ]) {
      answers = given;
      const error = await refusal(() => client().request('GET', 'makepay/payment-links/u'));
      assert.equal(error.constructor, bridge.PlatformRefused);
      assert.deepEqual([error.code, error.message, error.answer.status], [code, message, given.status]);
    }
  });

  it('an answer that is no JSON is told, not thrown about', async () => {
    for (const given of [{ status: 200, body: 'ok', headers: {} }, { status: 200, body: '{', headers: { 'content-type': 'application/json' } }]) {
      answers = given;
      assert.ok((await refusal(() => client().status())) instanceof bridge.CounterfoilError);
    }
  });

  it('versions that do not go together are VersionMismatch', async () => {
    for (const [version, good] of [['0.1.0', true], ['0.9.3-beta', true], ['0.0.9', false], ['1.0.0', false], ['x', false], [undefined, false]]) {
      answers = answer(200, { state: 'connected', version });
      if (good) assert.deepEqual([await client().handshake(), await client().handshake({ version })], [version, version]);
      else assert.equal((await refusal(() => client().handshake())).constructor, bridge.VersionMismatch, version);
    }
  });
});

describe('a daemon that cannot be reached', () => {
  it('does not run, or is elsewhere', async () => {
    const stale = join(directory, 'stale.sock');
    const old = createNetServer();
    await new Promise((resolve) => { old.listen(stale, resolve); });
    // A socket that nobody listens at any more stays behind where a process was killed; a plain file is refused alike.
    await new Promise((resolve) => { old.close(resolve); });
    writeFileSync(stale, '');
    for (const place of [join(directory, 'none.sock'), stale]) {
      const error = await refusal(() => client({ socket: place }).status());
      assert.equal(error.constructor, bridge.DaemonMissing, place);
      assert.match(error.message, new RegExp(place));
      assert.match(error.nextStep, /systemctl start counterfoild/);
    }
  });

  it('does not let this user in', async () => {
    const isRoot = process.getuid() === 0;
    chmodSync(socket, 0o000);
    // Root is let in everywhere, so it asks as nobody in particular.
    if (isRoot) process.seteuid(65534);
    try {
      const error = await refusal(() => client().status());
      assert.deepEqual([error.constructor, error.code], [bridge.PermissionDenied, 'socket_permission']);
      assert.match(error.nextStep, /allow_users.*counterfoild doctor/);
    } finally {
      if (isRoot) process.seteuid(0);
      chmodSync(socket, 0o700);
    }
  });

  it('does not answer in time', async () => {
    const mute = join(directory, 'mute.sock');
    const held = [];
    const silent = createNetServer((connection) => held.push(connection));
    await new Promise((resolve) => { silent.listen(mute, resolve); });
    const error = await refusal(() => client({ socket: mute }).request('GET', 'a', { seconds: 0.05 }));
    assert.equal(error.constructor, bridge.TryLater);
    for (const connection of held) connection.destroy();
    await new Promise((resolve) => { silent.close(resolve); });
  });

  it('gives up when it is told to', async () => {
    const error = await refusal(() => client().request('GET', 'a', { signal: AbortSignal.abort() }));
    assert.equal(error.name, 'AbortError');
  });
});

describe('the port', () => {
  const tokenFile = join(directory, 'tcp-token');

  it('is given this plugin\'s token, the last line of its name', async () => {
    writeFileSync(tokenFile, 'other secret-of-another\nmy-plugin old\nmy-plugin   the-token\n');
    const port = createServer((request, response) => {
      seen = { headers: request.headers };
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"version":"0.1.0"}');
    });
    await new Promise((resolve) => { port.listen(0, '127.0.0.1', resolve); });
    const tcp = `127.0.0.1:${port.address().port}`;
    await client({ socket: undefined, tcp, tokenFile }).status();
    assert.deepEqual([seen.headers.authorization, seen.headers.host], ['Bearer the-token', tcp]);
    await new Promise((resolve) => { port.close(resolve); });
  });

  it('is not called without a token, and the token is in no message', async () => {
    const tcp = '127.0.0.1:9';
    assert.throws(() => client({ socket: undefined, tcp }), TypeError);
    for (const text of ['other secret-of-another\n', 'my-plugin\n', '']) {
      writeFileSync(tokenFile, text);
      const error = await refusal(() => client({ socket: undefined, tcp, tokenFile }).status());
      assert.equal(error.constructor, bridge.PermissionDenied);
      assert.doesNotMatch(`${error.message} ${error.nextStep} ${error.stack}`, /secret-of-another/);
    }
    const error = await refusal(() => client({ socket: undefined, tcp, tokenFile: join(directory, 'none') }).status());
    assert.equal(error.code, 'token_file_unreadable');
  });
});
