// The tiny store of plugin-bridge, driven with the real server, the real daemon and a browser: the Node client at work.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';

import { startStore } from '../../plugin-bridge/demo-store/store.mjs';
import { everywhere } from './lib/chromium.mjs';
import { ok, send } from './lib/http.mjs';
import { LANDS } from './lib/lands.mjs';
import { freePort, until } from './lib/processes.mjs';

const SUBSCRIPTION = 'PUT /api/partner/v1/makepay/webhook-subscriptions/current';
const land = LANDS.map((make) => make()).find(({ name }) => name === 'counterfoil-server');
const stores = [];

/** A store at an address of its own, and its daemon. */
async function open() {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const daemon = await land.daemon('wordpress', {
    site_url: url, redirect_uri: `${url}/wp-admin/admin-post.php?action=counterfoil_callback`, webhook_url: `${url}/notification`,
  });
  stores.push(await startStore(port, daemon.socket));
  return { url, daemon };
}

const says = async (person, pattern) => assert.match(await person.text(), pattern);

describe('the tiny store', () => {
  before(() => land.start());
  after(async () => {
    for (const store of stores) {
      const closed = once(store, 'close');
      store.close();
      store.closeAllConnections();
      await closed;
    }
    await land.stop();
  });

  it('is connected, sells, hears that it was paid, and is disconnected', () => everywhere(async (person) => {
    const { url, daemon } = await open();
    await person.goTo(url);
    await person.press('Connect');
    await person.signIn(land.browser.person);
    await person.press('Deny');
    await says(person, /The request was not approved/);
    await person.press('Connect');
    await person.press('Approve');
    assert.equal(person.page.url(), `${url}/`);
    await says(person, new RegExp(land.company));
    await until('notifications come', async () => (await daemon.status()).webhook.state === 'active');
    await person.press('Create a payment link over 19.90 EUR');
    await person.press('Create a payment link over 19.90 EUR');
    await says(person, /Payment link: \S+\/payment\/.*It is not paid yet/);
    await person.lookAt('demo-store');
    const { json: { paymentLinks } } = await daemon.local('GET', '/v1/api/makepay/payment-links');
    assert.deepEqual(paymentLinks.map(({ amount, orderId }) => [amount, orderId]), [['19.90', 'DEMO-1']]);
    await land.server.operator(['payment-link', 'set-status', paymentLinks[0].uid, 'complete']);
    await until('a notification', async () => (await send(url)).text.includes('It is paid.'));
    await person.press('Disconnect');
    await says(person, /Connect/);
    await until('the platform has heard of it', async () => (await daemon.status()).state === 'disconnected');
  }));

  it('takes nothing that another browser brings, and no notification that is not genuine or not of its order', async () => {
    const { url, daemon } = await open();
    const begun = await send(`${url}/connect`, { method: 'POST', form: [] });
    const { callback } = await land.browser.approve(begun.location);
    await send(callback);
    assert.equal((await daemon.status()).state, 'awaiting_approval');
    await send(callback, { headers: { cookie: begun.headers['set-cookie'][0].split(';')[0] } });
    await until('notifications come', async () => (await daemon.status()).webhook.state === 'active');
    await send(`${url}/pay`, { method: 'POST', form: [] });
    const [link] = ok(await daemon.local('GET', '/v1/api/makepay/payment-links')).paymentLinks;
    const secret = JSON.parse(land.proxy.answers(SUBSCRIPTION).at(-1)).signingSecret;
    const told = (about, key = secret) => {
      const paymentLink = { uid: link.uid, merchantOrderId: 'DEMO-1', amount: '19.90', fiatCurrency: 'EUR', ...about };
      const body = JSON.stringify({ deliveryId: JSON.stringify(about), type: 'makepay.payment.status_changed', status: 'complete', paymentLink });
      const at = Math.floor(Date.now() / 1000);
      const signature = `t=${at},v1=${createHmac('sha256', key).update(`${at}.${body}`).digest('hex')}`;
      return send(`${url}/notification`, { method: 'POST', body, headers: { 'content-type': 'application/json', 'x-makepay-signature': signature } });
    };
    const isPaid = async () => (await send(url)).text.includes('It is paid.');
    assert.equal((await told({}, 'whsec_another')).status, 401);
    for (const about of [{ amount: '0.01' }, { fiatCurrency: 'USD' }, { merchantOrderId: 'DEMO-2' }, { uid: 'pl_another' }]) {
      assert.equal((await told(about)).status, 200);
      assert.equal(await isPaid(), false, JSON.stringify(about));
    }
    assert.equal((await told({})).status, 200);
    assert.equal(await isPaid(), true);
    assert.equal((await told({})).status, 409);
  });
});
