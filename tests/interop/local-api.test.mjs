// Every route of the local API against a real daemon, honest and refused: each answer must be as local-api.yaml says.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { Description } from './lib/description.mjs';
import { ok } from './lib/http.mjs';
import { contractLand } from './lib/lands.mjs';
import { PLATFORMS } from './lib/native.mjs';
import { until } from './lib/processes.mjs';

const LINKS = '/v1/api/makepay/payment-links';
const PUT = 'PUT /api/partner/v1/makepay/webhook-subscriptions/current';

const api = new Description();
const land = contractLand();
let daemon;

/** One call, judged. `door` is `api` or `admin`. */
async function call(method, path, { door = 'api', to = daemon, ...rest } = {}) {
  const socketPath = door === 'admin' ? join(dirname(to.socket), 'admin.sock') : to.socket;
  const answer = await to.local(method, path, { socketPath, ...rest });
  api.judge(method, path, answer);
  return answer;
}

const refused = (answer, status, code) => assert.deepEqual([answer.status, answer.json.code], [status, code], answer.text);

/** The head of an answer that does not end, and its first bytes. */
function opening(path) {
  return new Promise((resolve, reject) => {
    const headers = { host: 'localhost', 'counterfoil-client': 'test/1' };
    const sent = request({ socketPath: daemon.socket, path, headers }, (answer) => {
      answer.setEncoding('utf8').once('data', (text) => {
        sent.destroy();
        resolve({ status: answer.statusCode, headers: answer.headers, text });
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}

const store = (platform) => {
  const site = `https://described-${process.pid}-${platform}.example`;
  return { site_url: site, redirect_uri: PLATFORMS[platform].callback(site), webhook_url: `${site}/hook` };
};

const connected = async (platform, socket) => {
  const other = await land.daemon(platform, { ...store(platform), socket });
  await land.connect(other);
  return other;
};

describe('the local API is as it is described', () => {
  before(async () => {
    await land.start();
    daemon = await land.daemon('wordpress', store('wordpress'));
  });
  after(() => land.stop());

  it('before a connection', async () => {
    assert.equal((await call('GET', '/v1/status')).json.state, 'unregistered');
    assert.equal((await call('GET', '/v1/admin/status', { door: 'admin' })).status, 200);
    assert.equal((await call('GET', '/healthz')).text, 'ok\n');
    refused(await call('GET', LINKS), 409, 'not_connected');
    refused(await call('POST', LINKS, { json: {} }), 409, 'not_connected');
    refused(await call('POST', '/v1/callback', { json: { query: 'code=c&state=s' } }), 400, 'callback_state_unknown');
    refused(await call('POST', '/v1/webhooks/verify', { json: { headers: {}, body: '' } }), 400, 'webhook_signature_missing');
    refused(await call('POST', '/v1/admin/webhook/rotate', { door: 'admin' }), 409, 'not_connected');
    ok(await call('POST', '/v1/disconnect', { json: {} }));
  });

  it('in the connect dance', async () => {
    refused(await call('POST', '/v1/connect', { json: { more: 1 } }), 400, 'body_malformed');
    const { authorization_url: url } = ok(await call('POST', '/v1/connect', { json: { bind: 'b' } }));
    assert.equal((await call('GET', '/v1/status')).json.state, 'awaiting_approval');
    const query = await land.decide(url);
    refused(await call('POST', '/v1/callback', { json: { query } }), 403, 'bind_mismatch');
    ok(await call('POST', '/v1/callback', { json: { query, bind: 'b' } }));
    assert.equal((await call('GET', '/v1/status')).json.state, 'connected');
  });

  it('of forwarded calls', async () => {
    ok(await call('GET', LINKS));
    const link = { payload: { amount: '1.00', fiatCurrency: 'EUR' } };
    const { paymentLink: { uid } } = ok(await call('POST', LINKS, { json: link }), 201);
    ok(await call('GET', `${LINKS}/${uid}`));
    ok(await call('PATCH', `${LINKS}/${uid}`, { json: { status: 'archived' } }));
    refused(await call('DELETE', LINKS), 405, 'method_not_allowed');
    refused(await call('GET', '/v1/api/makepay/webhook-secret'), 403, 'call_refused');
    refused(await call('GET', '/v1/api/makepay/a%2Fb'), 400, 'path_refused');
  });

  it('of notifications', async () => {
    await until('they come', async () => (await call('GET', '/v1/status')).json.webhook.state === 'active');
    const secret = JSON.parse(land.proxy.answers(PUT).at(-1)).signingSecret;
    const [body, at] = [JSON.stringify({ deliveryId: 'd-1', type: 'x' }), Math.floor(Date.now() / 1000)];
    const v1 = createHmac('sha256', secret).update(`${at}.${body}`).digest('hex');
    const json = { headers: { 'x-makepay-signature': `t=${at},v1=${v1}` }, body };
    ok(await call('POST', '/v1/webhooks/verify', { json }));
    refused(await call('POST', '/v1/webhooks/verify', { json }), 409, 'webhook_replayed');
    ok(await call('POST', '/v1/admin/webhook/rotate', { door: 'admin' }));
  });

  it('of what the gate refuses', async () => {
    for (const { method, path } of api.operations) {
      const target = path.replace('{uid}', 'pl_1');
      const headers = { origin: 'https://evil.example' };
      refused(await call(method, target, { headers, door: 'admin' }), 403, 'browser_refused');
    }
    refused(await call('GET', '/v1/status', { headers: { 'counterfoil-client': undefined } }), 412, 'client_header_missing');
    refused(await call('GET', '/v1/status', { headers: { host: 'evil.example' } }), 403, 'host_refused');
    refused(await call('PUT', '/v1/status', { json: {} }), 405, 'method_not_allowed');
    refused(await call('GET', '/v1/nothing'), 404, 'not_found');
    refused(await call('POST', '/v1/proofs', { json: { method: 'GET', url: 'https://x.example' } }), 403, 'proofs_disabled');
    for (const { method, path } of api.operations.filter((one) => one.path.startsWith('/v1/admin/'))) {
      refused(await call(method, path), 403, 'admin_only');
    }
  });

  it('of a challenge', async () => {
    const { json: { client_id: id } } = await call('GET', '/v1/status');
    const ask = (nonce, client_id) => call('POST', '/v1/ownership', { json: { nonce, client_id } });
    const nonce = randomBytes(32).toString('base64url');
    const parts = ok(await ask(nonce, id)).proof.split('.').slice(0, 2);
    const [header, claims] = parts.map((part) => JSON.parse(Buffer.from(part, 'base64url')));
    assert.equal(header.typ, 'counterfoil-ownership+jwt');
    assert.deepEqual([claims.iss, claims.nonce], [id, nonce]);
    refused(await ask(nonce, 'mco_app_other'), 403, 'ownership_refused');
    refused(await ask('short', id), 403, 'ownership_refused');
    refused(await ask(undefined, id), 400, 'body_malformed');
    // Strangers can have this asked, so it is counted apart: nothing else waits for it.
    const last = await until('too many', async () => {
      const some = await Promise.all(Array.from({ length: 8 }, () => ask(nonce, 'x')));
      return some.find(({ status }) => status !== 403);
    });
    refused(last, 429, 'too_many_requests');
    ok(await call('GET', '/v1/status'));
  });

  it('of a stream', async () => {
    const answer = await opening('/v1/events');
    api.judge('GET', '/v1/events', answer);
    assert.match(answer.text, /^event: state\ndata: \{/);
  });

  it('of a daemon that signs proofs', async () => {
    const signing = await connected('btcpay-server', { proofs: true });
    const { api_base: base } = await signing.status();
    const sign = (url) => call('POST', '/v1/proofs', { to: signing, json: { method: 'GET', url } });
    assert.match(ok(await sign(`${base}/makepay/branding`)).authorization, /^DPoP /);
    refused(await sign('https://evil.example/'), 403, 'url_refused');
    for (const path of ['branding', 'settings']) await call('GET', `/v1/api/makepay/${path}`, { to: signing });
  });

  it('of everything else that the owner can ask for', async () => {
    const special = new Set(['/v1/admin/webhook/rotate', '/v1/admin/status']);
    const left = api.operations.filter(({ path }) => path.startsWith('/v1/admin/') && !special.has(path));
    const other = await connected('medusa');
    for (const { method, path } of left) {
      const json = method === 'GET' ? undefined : {};
      await call(method, path, { door: 'admin', to: other, json });
      await call(method, path, { door: 'admin', to: other, json: { no_such_member: 1 } });
    }
  });

  it('when it ends', async () => {
    refused(await call('POST', '/v1/disconnect', { json: { forget: 'yes' } }), 400, 'body_malformed');
    ok(await call('POST', '/v1/disconnect', { json: {} }));
    assert.equal((await call('GET', '/v1/status')).json.state, 'disconnected');
  });

  it('and every operation was tried, and refused at least once', () => {
    const missing = api.operations.filter(({ method, path }) => !api.seen.has(`${method} ${path} refused`));
    assert.deepEqual(missing, []);
  });
});
