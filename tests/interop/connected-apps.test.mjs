// Connected apps, in a real browser: what a merchant and a support person see of a store, and what revoking it stops.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { everywhere, Person } from './lib/chromium.mjs';
import { ok, refused } from './lib/http.mjs';
import { world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';
import { Daemon, freePort, until } from './lib/processes.mjs';

const COMPANY = 'Nordwind Trading';
const here = world({ companies: [COMPANY] });
const started = [];
after(() => Promise.all(started.map((daemon) => daemon.stop())));

/** Opens Connected apps by the links that a person would follow. */
async function openList(person, who = here.merchant) {
  await person.goTo(`${here.server.issuer}/`);
  if (await person.page.getByLabel('Password').count()) await person.signIn(who);
  await person.follow(COMPANY);
  await person.follow('Connected apps');
}

/** Asks for new tokens by proof of the store's key. */
const recover = (shop, nonce) => shop.token(
  { grant_type: 'urn:counterfoil:grant-type:installation-key' },
  { proof: shop.key.proof('POST', shop.at('/oauth/token'), { nonce }) },
);

/** The server's nonce, which it gives to whoever asks without one. */
async function nonce(shop) {
  const first = await recover(shop);
  refused(first, 400, 'use_dpop_nonce');
  return first.headers['dpop-nonce'];
}

/** A daemon beside a store that the merchant has connected. */
async function connectedDaemon(site) {
  const store = {
    platform: 'wordpress', site_url: site, plugin_version: '1.2.3', platform_version: '6.9', issuer: here.server.issuer,
    redirect_uri: `${site}/wp-admin/admin-post.php?action=counterfoil_callback`,
  };
  const daemon = await Daemon.start(store);
  started.push(daemon);
  const { authorization_url: url } = ok(await daemon.local('POST', '/v1/connect', { json: {} }));
  const { callback } = await here.browser.approve(url, COMPANY);
  ok(await daemon.local('POST', '/v1/callback', { json: { query: new URL(callback).search.slice(1) } }));
  return daemon;
}

describe('connected apps', () => {
  it('are none at first', () => everywhere(async (person) => {
    await openList(person);
    assert.match(await person.text(), /No store and no application is connected/);
    await person.lookAt('connected-apps-empty');
  }));

  it('a merchant sees a store and what happened to it, revokes it, and the daemon says so', async () => {
    const support = await here.server.person('support@shop.example');
    await here.server.operator(
      ['user', 'add', '--email', support.email, '--company', COMPANY, '--role', 'support', '--password-stdin'],
      `${support.password}\n`,
    );
    await everywhere(async (person, { size, dark }) => {
      const site = `http://127.0.0.1:${await freePort()}`;
      const daemon = await connectedDaemon(site);
      ok(await daemon.local('POST', '/v1/api/makepay/payment-links', {
        json: { payload: { amount: '12.50', fiatCurrency: 'EUR' } },
      }), 201);
      const { thumbprint } = await daemon.status();
      const asked = await daemon.local('POST', '/v1/admin/key/rotate', {
        json: {}, socketPath: join(daemon.directory.path, 'admin.sock'),
      });
      assert.ok([200, 202].includes(asked.status), asked.text);
      await until('the key is another', async () => {
        const status = await daemon.status();
        return status.state === 'connected' && status.thumbprint !== thumbprint;
      });
      await openList(person);
      assert.match(await person.text(), new RegExp(`${site}.*Connected`));
      await person.lookAt('connected-apps');
      await person.click(person.page.getByRole('row', { name: new RegExp(site) }).getByRole('link'));
      const text = await person.text();
      for (const part of [/Connected It works/, /Plugin version 1\.2\.3/, /merchant@shop\.example/, /Create and change payment links/,
        /The store changed its key/, /The store collected its access/]) {
        assert.match(text, part);
      }
      await person.lookAt('connection');

      const watcher = await Person.open({ size, dark });
      const address = person.page.url();
      await watcher.goTo(address);
      await watcher.signIn(support);
      assert.match(await watcher.text(), /The connection was approved/);
      assert.equal(await watcher.page.getByRole('link', { name: /Revoke/ }).count(), 0);
      await watcher.lookAt('connection-support');
      await watcher.close();

      await person.follow('Revoke access…');
      assert.match(await person.text(), /Its tokens are refused everywhere, at once/);
      await person.lookAt('connection-revoke');
      await person.press('Revoke access');
      assert.match(await person.text(), /Revoked.*Ended/);
      await person.lookAt('connection-ended');

      const refused = await daemon.local('POST', '/v1/api/makepay/payment-links', {
        json: { payload: { amount: '12.50', fiatCurrency: 'EUR' } },
      });
      assert.ok(refused.status >= 400, refused.text);
      await until('the daemon asks for a reconnect', async () => (await daemon.status()).state === 'reconnect_required');
      const status = await daemon.status();
      assert.match(`${status.summary} ${status.next_step}`, /Connect/);
    });
  });

  it('a recovery stands in the history', async () => {
    const shop = new Store(here.server, 'wordpress');
    await shop.connect(here.browser, { company: COMPANY });
    await shop.accept(await recover(shop, await nonce(shop)));
    const person = await Person.open();
    await openList(person);
    await person.page.getByLabel('Name or address').fill(shop.site);
    await person.press('Search');
    await person.click(person.page.getByRole('row', { name: new RegExp(shop.site) }).getByRole('link'));
    assert.match(await person.text(), /Recovery: the store had lost its access and got it anew.*The store/);
    await person.lookAt('connection-recovered');
    await person.close();
  });

  it('what was revoked is refused everywhere: API, introspection, refresh and recovery', async () => {
    const shop = new Store(here.server, 'wordpress');
    await shop.connect(here.browser, { company: COMPANY });
    const api = await App.register(here.server, { name: 'Another API', company: COMPANY, flags: ['--resource-server'], redirectUris: [], scopes: [] });
    const token = shop.tokens.access_token;
    const active = async () => ok(await api.introspect(token)).active;
    assert.equal(await active(), true);
    await shop.stillWorks();
    const payload = { amount: '19.90', fiatCurrency: 'EUR' };
    const { uid } = ok(await shop.api('POST', 'payment-links', { json: { payload }, idempotency: 'order-1001' }), 201).paymentLink;

    const person = await Person.open();
    await person.goTo(`${here.server.issuer}/`);
    await person.signIn(here.merchant);
    const company = await person.page.getByRole('link', { name: COMPANY }).first().getAttribute('href');
    await person.goTo(`${here.server.issuer}${company}/connected-apps/${shop.clientId}/revoke`);
    await person.press('Revoke access');
    assert.match(await person.text(), /Revoked/);
    await person.close();

    refused(await shop.api('GET', 'payment-links'), 401, 'invalid_token');
    assert.equal(await active(), false);
    refused(await shop.refresh(), 400, 'invalid_grant');
    refused(await recover(shop, await nonce(shop)), 400, 'invalid_grant');
    // The merchant may approve it anew; that is another grant.
    const ended = shop.claims.grant_id;
    delete shop.claims;
    await shop.connect(here.browser, { company: COMPANY });
    assert.notEqual(shop.claims.grant_id, ended);
    // What was to be paid before is still this store's.
    assert.deepEqual(ok(await shop.api('GET', 'payment-links')).paymentLinks.map((link) => link.uid), [uid]);
    assert.equal(ok(await shop.api('GET', `payment-links/${uid}`)).paymentLink.uid, uid);
    await shop.stillWorks();
  });
});
