// The daemon against a server that keeps the contract and is otherwise difficult: other platforms, nonces, clocks that
// differ, answers that are garbage, redirects, keys that change, grants that end.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { ok } from './lib/http.mjs';
import { contractLand } from './lib/lands.mjs';
import { until } from './lib/processes.mjs';

const LINKS = '/v1/api/makepay/payment-links';
const land = contractLand();
const stateIs = (daemon, wanted) => until(`state ${wanted}`, async () => (await daemon.status()).state === wanted);
const works = async (daemon) => ok(await daemon.local('GET', LINKS));
const clientOf = async (daemon) => {
  const { thumbprint } = await daemon.status();
  return (await land.control('installations')).find(({ jkt }) => jkt === thumbprint);
};

before(() => land.start());
after(() => land.stop());

describe('platforms', () => {
  for (const platform of ['medusa', 'btcpay-server', 'wordpress']) {
    it(platform, async () => {
      const daemon = await land.connected(platform);
      await works(daemon);
      await daemon.restart();
      await works(daemon);
      await land.connect(daemon);
      await works(daemon);
    });
  }
});

describe('a server with its own ways', () => {
  it('demands nonces', async () => {
    await land.control('nonce', { required: true });
    const daemon = await land.connected();
    await works(daemon);
    await works(daemon);
    await daemon.restart();
    await works(daemon);
    await land.control('nonce', { required: false });
    await works(daemon);
  });

  for (const shift of [3000, -3000]) {
    it(`has a clock that is ${shift} s off`, async () => {
      await land.control('clock', { shift });
      const daemon = await land.connected();
      await works(daemon);
      await land.control('clock', { shift: 0 });
      await until('it learns the right time again', async () => (await daemon.local('GET', LINKS)).status === 200);
    });
  }

  it('signs with another key from now on', async () => {
    const daemon = await land.connected();
    await land.control('rotate-key', {});
    await land.connect(daemon);
    await works(daemon);
  });
});

describe('answers that are none', () => {
  const SPOILED = [
    ['503', { status: 503 }], [
      '500 in HTML', { status: 500, body: '<h1>Oops</h1>', contentType: 'text/html' },
    ], ['429', { status: 429, headers: { 'retry-after': '0' } }],
    [
      '200 that is cut off', { status: 200, body: '{"access_token":"x' },
    ], ['200 and empty', { status: 200, body: '' }], ['200 without tokens', { status: 200, body: '{}' }],
    ['a temporary error', { status: 400, body: '{"error":"temporarily_unavailable"}' }],
  ];

  for (const [name, fault] of SPOILED) {
    it(`${name} at the token endpoint, after the code was taken`, async () => {
      const daemon = await land.daemon();
      const query = await land.decide(await land.begin(daemon));
      await land.control('fail', { endpoint: 'token', count: 1, phase: 'after', ...fault });
      const first = await land.callback(daemon, query);
      if (first.status !== 200) {
        await until('the exchange is finished', async () => (await land.callback(daemon, query)).status === 200);
      }
      await works(daemon);
    });
  }

  it('redirects are not followed', async () => {
    for (const endpoint of ['discovery', 'register']) {
      const daemon = await land.daemon();
      await land.control('fail', {
        endpoint, count: 1, status: 307, body: '', headers: { location: `${land.proxy.origin}/elsewhere` },
      });
      const answer = await daemon.local('POST', '/v1/connect', { json: {} });
      if (answer.status === 200) continue;
      assert.match(answer.headers['content-type'], /^application\/problem\+json/);
      await land.control('clear', {});
      await land.connect(daemon);
      await works(daemon);
    }
    assert.equal(land.proxy.count('GET /elsewhere') + land.proxy.count('POST /elsewhere'), 0);
  });

  it('metadata of another issuer is not believed', async () => {
    const daemon = await land.daemon();
    const good = JSON.stringify({
      issuer: 'https://evil.example', authorization_endpoint: 'https://evil.example/a',
      token_endpoint: 'https://evil.example/t', jwks_uri: 'https://evil.example/j',
      native_installation_endpoint: 'https://evil.example/n', authorization_response_iss_parameter_supported: true,
    });
    const bodies = [
      good, good.replace('https://evil.example"', `${land.proxy.origin}"`),
      good.replaceAll('https://evil.example', `${land.proxy.origin}/x`), '{}', 'nonsense',
    ];
    for (const body of bodies) {
      await land.control('fail', { endpoint: 'discovery', count: 1, status: 200, body });
      assert.ok((await daemon.local('POST', '/v1/connect', { json: {} })).status >= 400, body);
      await land.control('clear', {});
    }
    await land.connect(daemon);
  });

  it('the API\'s own refusals reach the plugin unchanged', async () => {
    const daemon = await land.connected();
    const missing = await daemon.local('GET', `${LINKS}/unknown`);
    assert.deepEqual([missing.status, missing.json], [404, { error: 'payment_link_not_found' }]);
    await land.control('fail', {
      endpoint: 'list-links', count: 1, status: 502, body: 'bad gateway', contentType: 'text/plain',
    });
    const broken = await daemon.local('GET', LINKS);
    assert.ok(broken.status === 502 || broken.status === 200, `${broken.status}`);
    await works(daemon);
  });

  it('bodies and keys reach the API unchanged', async () => {
    const daemon = await land.connected();
    const call = () => daemon.local('POST', LINKS, {
      body: '{"payload": {"amount":"7.00",  "fiatCurrency":"EUR"}}', headers: {
        'content-type': 'application/json', 'idempotency-key': 'order-12345678',
      },
    });
    const first = ok(await call(), 201);
    assert.equal(ok(await call(), 200).paymentLink.uid, first.paymentLink.uid);
    assert.equal(ok(await daemon.local('GET', `${LINKS}?limit=1`)).paymentLinks.length, 1);
  });
});

describe('a grant that ends', () => {
  it('asks for a reconnect, which works', async () => {
    const daemon = await land.connected();
    const { client_id: id } = await clientOf(daemon);
    await land.control('revoke', { client_id: id });
    assert.ok((await daemon.local('GET', LINKS)).status >= 400);
    await stateIs(daemon, 'reconnect_required');
    const { next_step: next } = await daemon.status();
    assert.ok(next.length > 0);
    await daemon.restart();
    assert.equal((await daemon.status()).state, 'reconnect_required');
    await land.connect(daemon);
    await works(daemon);
  });

  it('does not end with an API call that the server refuses for want of a token', async () => {
    const daemon = await land.connected();
    await land.control('fail', { endpoint: 'list-links', count: 1, status: 401, body: '{"error":"invalid_token"}' });
    await works(daemon);
    await stateIs(daemon, 'connected');
  });

  it('ends at the server when the merchant disconnects', async () => {
    const daemon = await land.connected();
    const { client_id: id } = await clientOf(daemon);
    ok(await daemon.local('POST', '/v1/disconnect', { json: {} }));
    await stateIs(daemon, 'disconnected');
    const seen = (await land.control('installations')).find((one) => one.client_id === id);
    assert.equal(seen.reset, true);
    await land.connect(daemon);
    assert.equal((await clientOf(daemon)).client_id, id);
  });
});
