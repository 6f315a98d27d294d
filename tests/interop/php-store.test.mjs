// The example of a store in PHP, driven as its owner, its customer and a stranger would, with the real server and the
// real daemon: what plugin-bridge offers is not for WordPress alone.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { everywhere } from './lib/chromium.mjs';
import { ok, send } from './lib/http.mjs';
import { LANDS } from './lib/lands.mjs';
import { freePort, temporaryDirectory, until } from './lib/processes.mjs';

const STORE = fileURLToPath(new URL('../../plugin-bridge/examples/php-store/', import.meta.url));
const SUBSCRIPTION = 'PUT /api/partner/v1/makepay/webhook-subscriptions/current';
const PASSWORD = 'a password of the owner';
const HASH = execFileSync('php', ['-r', 'echo password_hash($argv[1], PASSWORD_DEFAULT);', PASSWORD], { encoding: 'utf8' });

const land = LANDS.map((make) => make()).find(({ name }) => name === 'counterfoil-server');

/** The store, served by PHP's own server at an address of its own. */
class Shop {
  constructor(port, data = temporaryDirectory()) {
    Object.assign(this, { port, data, url: `http://127.0.0.1:${port}` });
  }

  get store() {
    const [site_url, redirect_uri, webhook_url] = ['', '/office/callback', '/notification'].map((path) => `${this.url}${path}`);
    return { site_url, redirect_uri, webhook_url };
  }

  async serve(socket) {
    mkdirSync(join(this.data.path, 'sessions'), { recursive: true });
    const args = ['-d', 'display_errors=0', '-d', `error_log=${join(this.data.path, 'errors')}`, '-d', `session.save_path=${join(this.data.path, 'sessions')}`];
    this.php = spawn('php', [...args, '-S', `127.0.0.1:${this.port}`, join(STORE, 'public/index.php')], {
      stdio: 'ignore',
      env: { PATH: process.env.PATH, STORE_URL: this.url, STORE_SOCKET: socket, STORE_DATA: this.data.path, STORE_PASSWORD_HASH: HASH },
    });
    await until('the store', () => send(this.url).then(() => true, (error) => { assert.equal(error.code, 'ECONNREFUSED'); }));
  }

  /** The orders that are written down. */
  orders() {
    return readdirSync(this.data.path).filter((name) => /^order-\w+\.json$/.test(name))
      .map((name) => ({ id: name.slice(6, -5), ...JSON.parse(readFileSync(join(this.data.path, name), 'utf8')) }));
  }

  order(id) {
    return this.orders().find((it) => it.id === id);
  }

  async stop() {
    if (this.php) {
      const ended = once(this.php, 'exit');
      this.php.kill();
      await ended;
    }
    const complaints = readdirSync(this.data.path).includes('errors') ? readFileSync(join(this.data.path, 'errors'), 'utf8') : '';
    this.data.remove();
    assert.equal(complaints, '');
  }
}

/** Opens the office as its owner. */
async function office(person, shop) {
  await person.goTo(`${shop.url}/office`);
  await person.page.getByLabel('Password').fill(PASSWORD);
  await person.press('Sign in');
}

/** Buys the product, and answers the order's name; the browser is at the platform then. */
async function buy(person, shop) {
  await person.goTo(shop.url);
  const id = await person.page.locator('input[name=order]').inputValue();
  await person.press('Buy it');
  assert.equal(person.page.url(), shop.order(id).url);
  return id;
}

const shops = [];
async function open() {
  const shop = new Shop(await freePort());
  shops.push(shop);
  return shop;
}

/** Ends what was started; however a test ended, nothing is left. */
async function end() {
  const ended = await Promise.allSettled(shops.splice(0).map((shop) => shop.stop()));
  await land.stop();
  for (const { reason } of ended) if (reason) throw reason;
}

const says = async (person, pattern) => assert.match(await person.text(), pattern);

describe('the example of a store in PHP', () => {
  before(() => land.start({ profiles: join(STORE, 'profiles') }));
  after(end);

  it('is connected, sells, hears that it was paid, and is disconnected, in every size of screen', () => everywhere(async (person) => {
    const shop = await open();
    const daemon = await land.daemon('php-store', shop.store);
    await shop.serve(daemon.socket);
    await person.goTo(shop.url);
    await says(person, /It cannot be bought yet/);
    await person.goTo(`${shop.url}/office`);
    await person.page.getByLabel('Password').fill('another');
    await person.press('Sign in');
    await says(person, /This is not the password/);
    await office(person, shop);
    await person.lookAt('php-store-office', {});
    await person.press('Connect');
    // The page waits only for a moment until the store was asked whose it is.
    const { client_id: client } = await daemon.status();
    await until('its address was asked', async () => (await land.server.operator(['installation', 'show', client])).address);
    await person.signIn(land.browser.person);
    await says(person, /Verified: 127\.0\.0\.1/);
    await person.press('Approve');
    assert.equal(person.page.url(), `${shop.url}/office`);
    await says(person, /Is Nordwind Trading the company that gets paid\?/);
    await person.lookAt('php-store-connected', {});
    await person.goTo(shop.url);
    await says(person, /It cannot be bought yet/);
    await person.goTo(`${shop.url}/office`);
    await person.press('Yes, it is');
    await until('notifications come', async () => (await daemon.status()).webhook.state === 'active');

    const id = await buy(person, shop);
    const { uid, url } = shop.order(id);
    assert.ok(url.startsWith(`${land.proxy.origin}/payment/`), url);
    const again = await send(`${shop.url}/buy`, { method: 'POST', form: [['order', id]] });
    assert.deepEqual([again.status, again.location], [303, url]);
    assert.equal(shop.orders().length, 1);
    await person.goTo(`${shop.url}/order?id=${id}`);
    await says(person, /It is not paid yet/);
    await land.server.operator(['payment-link', 'set-status', uid, 'complete']);
    await until('a notification that is written down', () => shop.order(id).status === 'paid');
    await person.goTo(`${shop.url}/order?id=${id}`);
    await says(person, /It is paid/);
    await person.lookAt('php-store-paid', {});

    await person.goTo(`${shop.url}/office`);
    await person.press('Disconnect the store');
    await says(person, /not connected/);
    await person.goTo(shop.url);
    await says(person, /It cannot be bought yet/);
  }));
});

describe('the example of a store in PHP and those who mean it no good', () => {
  let shop;
  let daemon;
  let uid;
  let id;
  const event = (status, about = {}) => JSON.stringify({
    deliveryId: `d-${status}-${Object.keys(about)}`, type: 'makepay.payment.status_changed', status,
    paymentLink: { uid, merchantOrderId: id, amount: '19.90', fiatCurrency: 'EUR', ...about },
  });
  const notify = (body, secret) => {
    const at = Math.floor(Date.now() / 1000);
    const signature = `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`;
    return send(`${shop.url}/notification`, { method: 'POST', body, headers: { 'content-type': 'application/json', 'x-makepay-signature': signature } });
  };

  before(async () => {
    await land.start({ profiles: join(STORE, 'profiles') });
    shop = await open();
    daemon = await land.daemon('php-store', shop.store);
    await shop.serve(daemon.socket);
  });
  after(end);

  it('takes no button of the office from anybody but its owner', async () => {
    for (const action of ['connect', 'confirm', 'disconnect']) {
      const answer = await send(`${shop.url}/office/${action}`, { method: 'POST', form: [['token', ''], ['company', 'x']] });
      assert.equal(answer.status, 403, action);
    }
    assert.equal((await daemon.status()).state, 'unregistered');
  });

  it('is paid by what is genuine and asks for the same, and by nothing else', () => everywhere(async (person, { size, dark }) => {
    if (size === 'phone' || dark) return;
    await office(person, shop);
    await person.press('Connect');
    await person.signIn(land.browser.person);
    await person.press('Approve');
    await person.press('Yes, it is');
    await until('notifications come', async () => (await daemon.status()).webhook.state === 'active');
    const secret = JSON.parse(land.proxy.answers(SUBSCRIPTION).at(-1)).signingSecret;
    id = await buy(person, shop);
    ({ uid } = shop.order(id));
    assert.equal((await notify(event('complete'), 'whsec_another')).status, 401);
    for (const about of [{ uid: 'pl_another' }, { merchantOrderId: '0'.repeat(32) }]) ok(await notify(event('complete', about), secret));
    assert.equal(shop.order(id).status, 'open');
    const genuine = event('complete');
    ok(await notify(genuine, secret));
    assert.equal((await notify(genuine, secret)).status, 409);
    ok(await notify(event('failed'), secret));
    assert.equal(shop.order(id).status, 'paid');
    for (const about of [{ amount: '1.00' }, { fiatCurrency: 'USD' }]) {
      id = await buy(person, shop);
      ({ uid } = shop.order(id));
      ok(await notify(event('complete', about), secret));
      assert.equal(shop.order(id).status, 'wrong');
    }
    await person.goTo(`${shop.url}/order?id=${id}`);
    await says(person, /Something is wrong with its payment/);
    await land.server.operator(['payment-link', 'set-status', uid, 'complete']);

    const copy = await open();
    await copy.serve(daemon.socket);
    await office(person, copy);
    await says(person, /What is this store\? The store has moved here.*counterfoild adopt.*This is a separate store.*This is just a copy/);
    await person.lookAt('php-store-copy', {});
    assert.equal(await person.page.getByRole('button').count(), 0);
    const refused = await send(`${copy.url}/buy`, { method: 'POST', form: [['order', 'a'.repeat(32)]] });
    assert.deepEqual([refused.status, copy.orders()], [503, []]);
    assert.equal((await daemon.status()).state, 'connected');
  }));
});
