// The daemon against two servers that share no code: connect, call, refresh, lose answers, die, come back, disconnect.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';

import { ok } from './lib/http.mjs';
import { LANDS } from './lib/lands.mjs';
import { until } from './lib/processes.mjs';

const TOKEN = 'POST /oauth/token';
const REGISTER = 'POST /oauth/native/installations';
const RESET = 'DELETE /oauth/native/installations';
const LINKS = '/v1/api/makepay/payment-links';
const LIFETIME = 6;
const HOUR = 3_600;
const MANY = 200;

const create = (daemon, amount = '12.50') => daemon.local(
  'POST', LINKS, { json: { payload: { amount, fiatCurrency: 'EUR' } } },
);
const stateIs = (daemon, wanted) => until(`state ${wanted}`, async () => (await daemon.status()).state === wanted);

const theTokenEnds = (since) => until('the token has ended', () => Date.now() > since + (LIFETIME + 1) * 1000);

/** A daemon that works: it answers from the store's own grant. */
async function works(daemon) {
  const { uid } = ok(await create(daemon), 201).paymentLink;
  const { paymentLinks } = ok(await daemon.local('GET', LINKS));
  assert.ok(paymentLinks.some((link) => link.uid === uid));
}

for (const make of LANDS) {
  const land = make();

  describe(`against ${land.name}`, () => {
    before(() => land.start());
    after(() => land.stop());

    it('connects, and the plugin never sees a token', async () => {
      const daemon = await land.daemon();
      const first = await daemon.status();
      assert.equal(first.state, 'unregistered');
      for (const member of ['summary', 'next_step']) assert.ok(first[member].length > 0, member);
      const answers = [];
      const said = (answer) => { answers.push(answer.text); return answer; };

      const {
        authorization_url: url, expires_at: end,
      } = ok(said(await daemon.local('POST', '/v1/connect', { json: {} })));
      assert.ok(url.startsWith(`${land.proxy.origin}/oauth/authorize?`), url);
      assert.ok(end);
      assert.equal((await daemon.status()).state, 'awaiting_approval');
      ok(said(await land.callback(daemon, await land.decide(url))));
      const status = said(await daemon.local('GET', '/v1/status'));
      assert.equal(status.json.state, 'connected');
      assert.ok(status.text.includes(land.company));
      said(await create(daemon));
      await works(daemon);
      for (const text of answers) assert.doesNotMatch(text, /mco_rt_|eyJ[\w-]+\.eyJ|whsec_/);
    });

    it('stays connected over kill -9, with the same key', async () => {
      const daemon = await land.connected();
      const { thumbprint } = await daemon.status();
      await daemon.restart();
      await stateIs(daemon, 'connected');
      assert.equal((await daemon.status()).thumbprint, thumbprint);
      await works(daemon);
    });

    it('gets over a lost registration', async () => {
      const daemon = await land.daemon();
      land.proxy.lose(REGISTER);
      const first = await daemon.local('POST', '/v1/connect', { json: {} });
      if (first.status !== 200) assert.match(first.headers['content-type'], /^application\/problem\+json/);
      await daemon.restart();
      await land.connect(daemon);
      await works(daemon);
    });

    it('gets over a lost code exchange', async () => {
      const daemon = await land.daemon();
      const query = await land.decide(await land.begin(daemon));
      land.proxy.lose(TOKEN);
      const first = await land.callback(daemon, query);
      if (first.status !== 200) ok(await land.callback(daemon, query), 200, first.text);
      await stateIs(daemon, 'connected');
      await works(daemon);
    });

    it('finishes a code exchange that kill -9 cut off', async () => {
      const daemon = await land.daemon();
      const query = await land.decide(await land.begin(daemon));
      const hold = land.proxy.hold(TOKEN);
      const pending = land.callback(daemon, query).catch(() => undefined);
      await hold.arrived;
      await daemon.kill();
      hold.release();
      await pending;
      await daemon.launch();
      await stateIs(daemon, 'connected');
      ok(await land.callback(daemon, query));
      await works(daemon);
    });

    it('takes a callback strictly', async () => {
      const daemon = await land.daemon();
      const url = await land.begin(daemon);
      const query = await land.decide(url);
      const wrong = {
        'another state': query.replace(
          /state=[^&]+/, 'state=another',
        ), 'no state': query.replace(/&?state=[^&]+/, ''), 'two codes': `${query}&code=x`,
        'two states': `${query}&state=x`, 'two issuers': `${query}&iss=https%3A%2F%2Fevil.example`, empty: '',
        garbage: '%zz',
      };
      for (const [name, text] of Object.entries(wrong)) {
        const answer = await land.callback(daemon, text);
        assert.ok(answer.status >= 400 && answer.status < 500, `${name}: ${answer.status}`);
        assert.match(answer.headers['content-type'], /^application\/problem\+json/, name);
        assert.ok(answer.json.code, name);
        assert.equal((await daemon.status()).state, 'awaiting_approval', name);
      }
      const done = ok(await land.callback(daemon, `action=counterfoil_callback&unknown=1&${query}`));
      assert.deepEqual(ok(await land.callback(daemon, `action=counterfoil_callback&unknown=1&${query}`)), done);
      await works(daemon);
    });

    it('ends an attempt at a wrong issuer and at a denial, and begins again', async () => {
      const daemon = await land.daemon();
      const query = await land.decide(await land.begin(daemon));
      const mixed = query.replace(/iss=[^&]+/, 'iss=https%3A%2F%2Fevil.example');
      assert.ok((await land.callback(daemon, mixed)).status >= 400);
      assert.ok((await land.callback(daemon, query)).status >= 400);
      const denied = await land.callback(daemon, await land.decide(await land.begin(daemon), 'deny'));
      assert.ok(denied.status >= 400 && denied.status < 500, denied.text);
      assert.notEqual((await daemon.status()).state, 'connected');
      await land.connect(daemon);
      await works(daemon);
    });

    it('stays connected while a reconnect is denied', async () => {
      const daemon = await land.connected();
      const url = await land.begin(daemon);
      const pending = await daemon.status();
      assert.equal(pending.state, 'connected');
      assert.ok(pending.pending);
      await works(daemon);
      await land.callback(daemon, await land.decide(url, 'deny'));
      await stateIs(daemon, 'connected');
      await works(daemon);
      await land.connect(daemon);
      await works(daemon);
    });

    it('disconnects, over a lost answer too, and connects again', async () => {
      const daemon = await land.connected();
      const { thumbprint } = await daemon.status();
      land.proxy.lose(RESET);
      const first = await daemon.local('POST', '/v1/disconnect', { json: {} });
      assert.ok([200, 202].includes(first.status), first.text);
      await until('the disconnect is confirmed', async () => {
        const { state } = await daemon.status();
        if (state === 'disconnect_pending') await daemon.local('POST', '/v1/disconnect', { json: {} });
        return state === 'disconnected';
      });
      assert.ok((await daemon.local('GET', LINKS)).status >= 400);
      await daemon.restart();
      assert.equal((await daemon.status()).state, 'disconnected');
      await land.connect(daemon);
      assert.equal((await daemon.status()).thumbprint, thumbprint);
      await works(daemon);
    });

    it('admits plugins alone', async () => {
      const daemon = await land.connected();
      const wrong = {
        'no client': { 'counterfoil-client': undefined }, 'a client without a version': { 'counterfoil-client': '' },
        'an origin': { origin: 'https://shop.example' }, 'an opaque origin': { origin: 'null' },
        'a referer': { referer: 'https://shop.example/' }, 'fetch metadata': { 'sec-fetch-mode': 'cors' },
        'another host': { host: 'evil.example' }, 'an address': { host: '127.0.0.1' },
      };
      for (const [name, headers] of Object.entries(wrong)) {
        for (const [method, path] of [['GET', '/v1/status'], ['GET', LINKS], ['POST', '/v1/disconnect']]) {
          const answer = await daemon.local(method, path, { headers, json: method === 'POST' ? {} : undefined });
          assert.ok(answer.status >= 400 && answer.status < 500, `${name} ${path}: ${answer.status}`);
          assert.match(answer.headers['content-type'], /^application\/problem\+json/, name);
        }
      }
      for (const [method, path] of [
        ['GET', '/v1/api/makepay/webhook-subscriptions/current'],
        ['PUT', '/v1/api/makepay/webhook-subscriptions/current'], ['POST', '/v1/api/makepay/webhook-secret'],
        ['GET', '/v1/api/../../oauth/token'], ['GET', '/v1/api/makepay/payment-links/../../../../oauth/token'],
        ['GET', '/v1/api/%2e%2e/%2e%2e/x'], ['GET', '/v1/api//evil.example/x'], ['POST', '/v1/proofs'],
        ['GET', '/v1/unknown'],
      ]) {
        const answer = await daemon.local(method, path, { target: path, json: method === 'GET' ? undefined : {} });
        assert.ok([400, 403, 404, 405].includes(answer.status), `${method} ${path}: ${answer.status}`);
      }
      await works(daemon);
    });
  });

  describe(`against ${land.name}, with tokens of ${LIFETIME} s`, () => {
    const short = make();
    before(() => short.start({ accessToken: LIFETIME }));
    afterEach(() => short.retire());
    after(() => short.stop());

    it('refreshes by itself, over lost answers', async () => {
      const daemon = await short.connected();
      short.proxy.lose(TOKEN);
      const asked = short.proxy.count(TOKEN);
      await until('three more token requests', () => short.proxy.count(TOKEN) >= asked + 3);
      await works(daemon);
      await stateIs(daemon, 'connected');
    });

    it('finishes a refresh that kill -9 cut off', async () => {
      const daemon = await short.connected();
      const hold = short.proxy.hold(TOKEN);
      await hold.arrived;
      await daemon.kill();
      hold.release();
      await daemon.launch();
      await stateIs(daemon, 'connected');
      await works(daemon);
      const asked = short.proxy.count(TOKEN);
      await until('the next refresh', () => short.proxy.count(TOKEN) > asked);
      await works(daemon);
    });

    it('takes an answer again whose access token has ended, and refreshes on', async () => {
      const daemon = await short.connected();
      const lost = short.proxy.hold(TOKEN);
      await lost.arrived;
      await daemon.kill();
      lost.release();
      await theTokenEnds(Date.now());
      const again = short.proxy.hold(TOKEN, 'request');
      await daemon.launch();
      await again.arrived;
      const call = daemon.local('GET', LINKS);
      again.release();
      ok(await call);
    });

    it('is killed with the answer on its way, again and again', async () => {
      const daemon = await short.connected();
      for (let time = 0; time < 8; time += 1) {
        const hold = short.proxy.hold(TOKEN);
        await hold.arrived;
        hold.release();
        if (time % 2 === 1) await daemon.status();
        await daemon.restart();
        assert.equal((await daemon.status()).state, 'connected');
      }
      await works(daemon);
    });

    it('refreshes once for many who ask at once', async () => {
      // Everybody asks while the refresh is on its way, and a second one would never come back. What the refresh brings
      // lives as long as all of them need.
      const oneServesAll = async (daemon, refresh) => {
        await refresh.arrived;
        const calls = Array.from({ length: MANY }, () => daemon.local('GET', LINKS));
        const next = short.proxy.hold(TOKEN, 'request');
        refresh.release();
        for (const answer of await Promise.all(calls)) ok(answer);
        next.release();
      };

      const began = await short.connected();
      await began.kill();
      const runs = await short.connected();
      let refresh = short.proxy.hold(TOKEN, 'request');
      await refresh.arrived;
      const arrived = Date.now();
      await short.tokensLive(HOUR);
      await theTokenEnds(arrived);
      await oneServesAll(runs, refresh);
      await works(runs);

      refresh = short.proxy.hold(TOKEN, 'request');
      await began.launch();
      await oneServesAll(began, refresh);
      await works(began);
      await short.tokensLive(LIFETIME);
    });
  });
}
