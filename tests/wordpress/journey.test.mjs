// The plugin in a real WordPress, with the real server, the real daemon and a real browser: what a merchant does, and
// what goes wrong.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Person } from '../interop/lib/chromium.mjs';
import { ok, send } from '../interop/lib/http.mjs';
import { LANDS } from '../interop/lib/lands.mjs';
import { until } from '../interop/lib/processes.mjs';
import { Shop, ZIP } from './lib/shop.mjs';

const PLAYED = fileURLToPath(new URL('../../plugin-bridge/wordpress/tests/played-woocommerce.php', import.meta.url));
const BLOCKS = fileURLToPath(new URL('../../plugin-bridge/wordpress/tests/played-blocks.php', import.meta.url));
const SUBSCRIPTION = 'PUT /api/partner/v1/makepay/webhook-subscriptions/current';
const OURS = { within: '#wpbody-content' };
const COMPANY = 'Nordwind Trading';
const OTHER = 'Süddeutsche Kolonialwaren- und Feinkosthandelsgesellschaft für Überseeprodukte mit beschränkter Haftung & Töchter';

const land = LANDS.map((make) => make()).find(({ name }) => name === 'counterfoil-server');
let shop;
let daemon;
let merchant;
let phone;

const says = async (person, pattern) => assert.match(await person.text(), pattern);

/** Looks at a page of the plugin in both sizes. */
async function look(name) {
  await merchant.lookAt(`wordpress-${name}`, OURS);
  await phone.goTo(merchant.page.url());
  await phone.lookAt(`wordpress-${name}`, OURS);
}

/** Presses Connect, and signs in at the platform where it asks. */
async function goToPlatform(button) {
  await merchant.goTo(shop.screen());
  await merchant.press(button);
  assert.ok(merchant.page.url().startsWith(land.proxy.origin), merchant.page.url());
  if (await merchant.page.getByLabel('Password').count()) await merchant.signIn(land.browser.person);
}

/** Chooses the company that gets paid, and approves. */
async function approve(company) {
  await merchant.page.getByLabel(company).check();
  await merchant.press('Approve');
}

/** The callback's address as the platform would open it, with no browser yet that has opened it. */
async function callbackOf(button) {
  const asked = merchant.page.waitForRequest(/\/oauth\/authorize\?/);
  await goToPlatform(button);
  return (await land.browser.approve((await asked).url(), COMPANY)).callback;
}

/** Presses the first of several buttons. */
async function pressFirst(name) {
  await merchant.page.getByRole('button', { name }).first().click();
  await merchant.page.waitForLoadState();
}

const signed = (secret, body) => {
  const at = Math.floor(Date.now() / 1000);
  return { 'content-type': 'application/json', 'x-makepay-signature': `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}` };
};

/** What this site knows of a payment: its status, and "!" where it is not what was asked for. */
const known = (uid) => shop.php(`$r = Counterfoil\\WordPress\\Payments\\Records::byUid("${uid}"); echo $r->status, $r->mismatch ? "!" : "";`);

/** Makes a payment link over 7.00 EUR as a program would, and answers its name. */
const createLink = () => shop.php(`$r = Counterfoil\\WordPress\\Payments\\Records::prepare("", "7.00", "EUR", "a deposit");
  Counterfoil\\WordPress\\Payments\\Links::open($r); echo $r->uid;`);

describe('a merchant with WordPress', () => {
  before(async () => {
    [shop] = await Promise.all([Shop.start(), land.start()]);
    // Whose merchant has two companies to choose from.
    await land.server.company(OTHER);
    await land.server.operator(['user', 'add', '--email', land.browser.person.email, '--company', OTHER, '--role', 'admin', '--password-stdin'], `${land.browser.person.password}\n`);
    daemon = await land.daemon('wordpress', shop.store);
    merchant = await Person.open({ size: 'desktop' });
    phone = await Person.open({ size: 'phone' });
    await shop.signIn(merchant);
    await shop.signIn(phone);
  });
  after(async () => {
    await Promise.all([merchant?.close(), phone?.close()]);
    await shop?.stop();
    await land.stop();
  });

  it('installs and activates the zip, and sets up from the list of plugins', async () => {
    await merchant.goTo(shop.at('/wp-admin/plugin-install.php?tab=upload'));
    await merchant.page.locator('#pluginzip').setInputFiles(ZIP);
    await merchant.page.locator('#install-plugin-submit').click();
    await merchant.page.getByRole('link', { name: 'Activate Plugin' }).click();
    await merchant.page.waitForURL(/plugins\.php/);
    await merchant.follow('Set up');
    assert.equal(merchant.page.url(), shop.screen());
  });

  it('is told that there is no daemon, and what to do, until there is one', async () => {
    await says(merchant, /does not answer at \/run\/counterfoil\/api\.sock.*systemctl start counterfoild/);
    const file = await merchant.page.locator('#counterfoil-file').inputValue();
    assert.ok(file.includes(`redirect_uri = "${shop.store.redirect_uri}"`), file);
    assert.ok(file.includes(`webhook_url = "${shop.webhook}"`), file);
    await look('no-daemon');
    await shop.gate.open(daemon.socket);
    for (const [path, answer] of [['api.sock', /path begins with \//], [shop.gate.path, /Saved/]]) {
      await merchant.page.getByLabel('Socket').fill(path);
      await merchant.press('Save');
      await says(merchant, answer);
    }
    const { thumbprint } = await daemon.status();
    await says(merchant, new RegExp(`Not connected.*${land.proxy.origin}.*${thumbprint}`));
    await look('not-connected');
    shop.gate.play('GET /v1/status', 200, { version: '0.0.9', state: 'connected' });
    await merchant.goTo(shop.screen());
    await says(merchant, /versions that do not go together\. The daemon is of version 0\.0\.9; this plugin needs 0\.1\.0 or newer.*counterfoild --version.*Reference: daemon_version/);
    assert.equal(await merchant.page.locator('#counterfoil-connect, #counterfoil-test').count(), 0);
  });

  it('connects, confirms who gets paid, and only then may make payments', async () => {
    await goToPlatform('Connect');
    await approve(COMPANY);
    assert.equal(merchant.page.url(), shop.screen());
    await says(merchant, new RegExp(`connected this store to ${COMPANY}\\. A test call worked\\..*Is this the company that gets paid\\?`));
    await look('connected');
    await merchant.goTo(shop.screen('counterfoil-payments'));
    assert.equal(await merchant.page.locator('#counterfoil-create').count(), 0);
    await merchant.goTo(shop.screen());
    await merchant.press('Yes, this company gets paid');
    await says(merchant, new RegExp(`Payments go to ${COMPANY}`));
    await merchant.press('Make a test call');
    await says(merchant, /The test call worked/);
    await look('confirmed');
  });

  it('shows the platform whose address this is, and nobody else', async () => {
    const { client_id: client } = await daemon.status();
    const ask = (query) => send(shop.at(`/?rest_route=/counterfoil/v1/challenge&${query}`));
    const nonce = randomBytes(32).toString('base64url');
    const answer = await ask(`nonce=${nonce}&client_id=${client}`);
    assert.match(ok(answer).proof, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    assert.equal(answer.headers['cache-control'], 'no-store');
    for (const query of [
      '', `nonce=${nonce}`, `nonce=${nonce}&client_id=another`, `nonce=${nonce}&nonce=${nonce}&client_id=${client}`,
      `nonce[]=${nonce}&client_id=${client}`,
    ]) {
      const refused = await ask(query);
      assert.deepEqual([refused.status, refused.json], [404, { code: 'not_found' }], query);
    }
  });

  it('makes a payment link, once however often the form is sent, and puts it on a page', async () => {
    await merchant.goTo(shop.screen('counterfoil-payments'));
    await look('no-payments');
    await merchant.goTo(shop.screen('counterfoil-payments'));
    await merchant.page.getByLabel('Amount').fill('19.90');
    await merchant.page.getByLabel('What it is for').fill('Deposit “Ümlaut” & <more');
    const form = await merchant.page.locator('form:has(#counterfoil-create)').evaluate((it) => Object.fromEntries(new FormData(it)));
    await merchant.press('Create the payment link');
    const again = await merchant.page.evaluate(async (fields) => {
      const answer = await fetch('/wp-admin/admin-post.php', { method: 'POST', body: new URLSearchParams(fields) });
      return answer.status;
    }, form);
    assert.equal(again, 200);
    await says(merchant, /The payment link is ready.*Deposit “Ümlaut” & <more.*19\.90 EUR.*Open/);
    await look('payments');
    const url = await merchant.page.locator('.counterfoil-payments input[readonly]').inputValue();
    assert.ok(url.startsWith(`${land.proxy.origin}/payment/`), url);
    await merchant.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await merchant.page.getByRole('button', { name: /^Copy/ }).click();
    await merchant.page.getByRole('button', { name: /^Copied/ }).waitFor();
    assert.equal(await merchant.page.evaluate(() => navigator.clipboard.readText()), url);
    const { json } = await daemon.local('GET', '/v1/api/makepay/payment-links');
    assert.deepEqual(json.paymentLinks.map(({ amount, fiatCurrency }) => [amount, fiatCurrency]), [['19.90', 'EUR']]);
    const id = Number(await shop.php('echo get_posts(["post_type" => "counterfoil_payment", "post_status" => "any"])[0]->ID;'));
    const page = await shop.php(`echo wp_insert_post(["post_title" => "Pay", "post_name" => "pay", "post_type" => "page", "post_status" => "publish",
      "post_content" => '<!-- wp:counterfoil/payment {"payment":${id}} /--><!-- wp:shortcode -->[counterfoil_payment id="${id}" label="The same"]<!-- /wp:shortcode -->']);`);
    // In the editor the block shows the button that visitors will see.
    await merchant.goTo(shop.at(`/wp-admin/post.php?post=${page}&action=edit`));
    const offered = await merchant.page.evaluate(() => [window.wp.blocks.getBlockType('counterfoil/payment').title, window.counterfoilPayments]);
    assert.deepEqual(offered, ['Payment link', [{ value: id, label: `#${id} 19.90 EUR Deposit “Ümlaut” & <more` }]]);
    const drawn = (frame) => frame.getByText('Pay 19.90 EUR').count().catch((error) => {
      assert.match(error.message, /detached|destroyed|closed/);
      return 0;
    });
    await until('the button in the editor', async () => {
      for (const frame of merchant.page.frames()) if (await drawn(frame)) return true;
      return false;
    }, 120);
    await merchant.goTo(shop.at('/?pagename=pay'));
    for (const name of ['Pay 19.90 EUR', 'The same']) {
      assert.equal(await merchant.page.getByRole('link', { name, exact: true }).getAttribute('href'), url);
    }
  });

  it('hears of a payment by the notifications of the platform', async () => {
    await until('notifications come', async () => (await daemon.status()).webhook.state === 'active', 120);
    const { json: { paymentLinks: [{ uid }] } } = await daemon.local('GET', '/v1/api/makepay/payment-links');
    for (const status of ['awaiting_deposit', 'deposit_received', 'complete']) {
      await land.server.operator(['payment-link', 'set-status', uid, status]);
      await until(`${status} is written down`, async () => await known(uid) === status, 120);
    }
    await merchant.goTo(shop.screen('counterfoil-payments'));
    await says(merchant, /19\.90 EUR Paid/);
    await merchant.goTo(shop.at('/?pagename=pay'));
    await says(merchant, /This has been paid/);
  });

  it('finds out what no notification told', async () => {
    const uid = await createLink();
    shop.gate.blind = true;
    await land.server.operator(['payment-link', 'set-status', uid, 'complete']);
    await until('a lost notification', () => shop.gate.turnedAway > 0, 120);
    shop.gate.blind = false;
    assert.equal(await known(uid), '');
    await shop.php('do_action("counterfoil_check");');
    assert.equal(await known(uid), 'complete');
  });

  it('takes a notification once, in whatever order they come, and none that is not genuine', async () => {
    const secret = JSON.parse(land.proxy.answers(SUBSCRIPTION).at(-1)).signingSecret;
    const uid = await createLink();
    const event = (status, at, about = {}) => JSON.stringify({
      deliveryId: `d-${status}-${at}`, deliveryGroupId: `g-${status}-${at}`, type: 'makepay.payment.status_changed', status,
      createdAt: `2027-01-15T08:00:0${at}.000Z`, session: { id: 's-1', status },
      paymentLink: { uid, status: 'active', amount: '7.00', fiatAmount: '7.00', fiatCurrency: 'EUR', ...about },
    });
    const post = (body, headers) => send(shop.webhook, { method: 'POST', body, headers });
    const body = event('pending', 2);
    for (const [headers, sent] of [[{}, body], [signed('whsec_x', body), body], [signed(secret, body), body.replace('pending', 'complete')]]) {
      assert.ok([400, 401].includes((await post(sent, headers)).status));
    }
    assert.equal(await known(uid), '');
    const genuine = signed(secret, body);
    ok(await post(body, genuine));
    assert.equal(await known(uid), 'pending');
    assert.equal((await post(body, genuine)).status, 409);
    const news = [['quoted', 1, 'pending'], ['swapping', 3, 'swapping'], ['complete', 4, 'complete'], ['sending', 5, 'complete']];
    for (const [status, at, expected] of news) {
      const next = event(status, at);
      ok(await post(next, signed(secret, next)));
      assert.equal(await known(uid), expected, status);
    }
    const elsewhere = JSON.stringify({ ...JSON.parse(event('complete', 6)), paymentLink: { uid: 'pl_unknown' } });
    ok(await post(elsewhere, signed(secret, elsewhere)));
    const other = event('complete', 7, { amount: '0.01', fiatAmount: '0.01' });
    ok(await post(other, signed(secret, other)));
    assert.equal(await known(uid), 'complete!');
  });

  it('does not undo what another request has written meanwhile', async () => {
    const uid = await createLink();
    const [read, go] = ['read', 'go'].map((name) => join(shop.root, name));
    const hear = (status, second) => `Counterfoil\\WordPress\\Payments\\Links::hear("${uid}", ["amount" => "7.00", "fiatCurrency" => "EUR"],
      ["status" => "${status}"], "2027-01-15T08:00:0${second}Z", "");`;
    // One has read the payment, and is slow; what it hears is newer than what the quick one wrote.
    const slow = shop.php(`Counterfoil\\WordPress\\Payments\\Records::byUid("${uid}"); touch("${read}");
      while (!is_file("${go}")) { usleep(10000); clearstatcache(); } ${hear('sending', 5)}`);
    try {
      await until('the slow one has read it', () => existsSync(read), 120);
      await shop.php(hear('complete', 4));
    } finally {
      writeFileSync(go, '');
      await slow;
    }
    assert.equal(await known(uid), 'complete');
  });

  it('declares to WooCommerce what it goes together with, and is in both checkouts', async () => {
    const told = await shop.php(`require ${JSON.stringify(PLAYED)}; require ${JSON.stringify(BLOCKS)};
      $registry = new class { public array $names = []; public function register($type) {
        $type->initialize();
        $this->names[$type->get_name()] = [$type->is_active(), $type->get_payment_method_script_handles(), $type->get_payment_method_data()];
      } };
      do_action("before_woocommerce_init");
      do_action("woocommerce_blocks_payment_method_type_registration", $registry);
      echo wp_json_encode([Automattic\\WooCommerce\\Utilities\\FeaturesUtil::$declared, apply_filters("woocommerce_payment_gateways", []), $registry->names,
        wp_scripts()->query("counterfoil-checkout")->deps]);`);
    const [declared, gateways, { counterfoil: [active, handles, data] }, needs] = JSON.parse(told);
    const ours = ['counterfoil.php', true];
    assert.deepEqual([declared, gateways], [{ custom_order_tables: ours, cart_checkout_blocks: ours }, ['Counterfoil\\WordPress\\Woo\\Gateway']]);
    assert.deepEqual([active, handles, data.title, data.supports], [true, ['counterfoil-checkout'], 'Pay online', ['products']]);
    assert.deepEqual(needs, ['wc-blocks-registry', 'wc-settings', 'wp-element', 'wp-html-entities']);
  });

  it('has an order of WooCommerce paid, by one link however often it is tried', async () => {
    // WooCommerce is in no registry: its order and the base of its gateways are played, all else is real.
    const woo = (code) => shop.php(`require ${JSON.stringify(PLAYED)};
      $order = WC_Order::$all[12] = new WC_Order(); $gateway = new Counterfoil\\WordPress\\Woo\\Gateway(); ${code}`);
    const pay = 'echo wp_json_encode([$gateway->is_available(), $gateway->process_payment(12), $order->meta]);';
    const [available, { result, redirect }, meta] = JSON.parse(await woo(pay));
    assert.deepEqual([available, result], [true, 'success']);
    assert.deepEqual(JSON.parse(await woo(pay)), [available, { result, redirect }, meta]);
    const { _counterfoil_uid: uid } = meta;
    assert.ok(redirect.endsWith(`/payment/${uid}`), redirect);
    const { json: { paymentLink } } = await daemon.local('GET', `/v1/api/makepay/payment-links/${uid}`);
    assert.deepEqual([paymentLink.amount, paymentLink.fiatCurrency, paymentLink.orderId], ['19.90', 'EUR', '12']);
    await land.server.operator(['payment-link', 'set-status', uid, 'complete']);
    const back = `$order->meta["_counterfoil_uid"] = "${uid}"; foreach ([1, 2] as $time) { Counterfoil\\WordPress\\Woo\\Orders::payerIsBack(12); }
      echo implode(" ", $order->done);`;
    assert.equal(await woo(back), `paid ${uid}`);
    const changed = '$order->total = "20.00"; echo wp_json_encode([$gateway->process_payment(12), $order->meta]);';
    const [dearer, { _counterfoil_uid: other }] = JSON.parse(await woo(changed));
    assert.equal(dearer.result, 'success');
    assert.notEqual(other, uid);
  });

  it('reads from right to left where the language does', async () => {
    await shop.rightToLeft(true);
    for (const page of ['counterfoil', 'counterfoil-payments']) {
      await merchant.goTo(shop.screen(page));
      assert.equal(await merchant.page.evaluate(() => getComputedStyle(document.body).direction), 'rtl');
      await look(`${page}-rtl`);
    }
    await shop.rightToLeft(false);
  });

  it('speaks the language that it is translated into', async () => {
    await shop.translate();
    for (const page of ['counterfoil', 'counterfoil-payments']) {
      await merchant.goTo(shop.screen(page));
      const words = await merchant.page.locator('.counterfoil').locator('h1, h2, th[scope=col], .counterfoil-facts th, label, p.description, li, button').allInnerTexts();
      assert.ok(words.length > 10, `${words.length} texts`);
      assert.deepEqual(words.filter((text) => text.trim() !== '' && !/«.*»/s.test(text)), [], page);
    }
    await shop.translate(false);
  });

  it('archives a payment link', async () => {
    await merchant.goTo(shop.screen('counterfoil-payments'));
    await merchant.page.getByLabel('Amount').fill('5');
    await merchant.press('Create the payment link');
    await pressFirst(/^Ask how it stands/);
    await says(merchant, /status is up to date/);
    await pressFirst(/^Archive/);
    await says(merchant, /is archived.*Archived \(Open\)/);
    const { json } = await daemon.local('GET', '/v1/api/makepay/payment-links');
    assert.equal(json.paymentLinks.find(({ amount }) => amount === '5').status, 'archived');
  });

  it('is told of each callback that changes nothing: denied, foreign, forged, expired, twice', async () => {
    const before = await daemon.status();
    const unchanged = async () => {
      const { grant_id: grant, company } = await daemon.status();
      assert.deepEqual([grant, company], [before.grant_id, before.company]);
    };
    const bare = async () => {
      await merchant.page.waitForURL(shop.screen());
      await unchanged();
    };
    await goToPlatform('Reconnect');
    await merchant.press('Deny');
    await bare();
    await says(merchant, /declined at the payment platform\. Nothing has changed/);
    await look('denied');
    const callback = await callbackOf('Reconnect');
    await phone.goTo(callback);
    await says(phone, /not begun by you in this browser/);
    await unchanged();
    await merchant.goTo(callback.replace(/state=[^&]+/, 'state=forged'));
    await bare();
    await says(merchant, /belongs to no attempt/);
    const stranger = await Person.open();
    await stranger.goTo(callback);
    assert.match(stranger.page.url(), /wp-login\.php/);
    assert.ok(!stranger.page.url().includes('code'), stranger.page.url());
    await stranger.page.locator('#user_login').fill('admin');
    await stranger.page.locator('#user_pass').fill(shop.password);
    await stranger.page.locator('#wp-submit').click();
    await stranger.page.waitForURL(/page=counterfoil/);
    await says(stranger, /You were not signed in when the approval came back/);
    await stranger.close();
    await unchanged();
    // Too late by the daemon's clock, and by this site's.
    const late = async () => {
      await merchant.goTo(callback);
      await bare();
      await says(merchant, /The approval came too late.*Nothing has changed.*Press Connect to begin again.*Reference: callback_expired/);
    };
    shop.gate.play('POST /v1/callback', 410, { code: 'callback_expired', detail: 'The approval came back too late.', next_step: 'Press Connect again.' });
    await late();
    const begun = (minutes) => shop.php(`$key = "counterfoil_attempt_1"; $kept = get_user_meta(1, $key, true);
      $kept["at"] += ${minutes} * MINUTE_IN_SECONDS; update_user_meta(1, $key, $kept);`);
    await begun(-16);
    await late();
    await begun(16);
    await merchant.goTo(callback);
    await says(merchant, new RegExp(`connected this store to ${COMPANY}`));
    const { grant_id: grant } = await daemon.status();
    await merchant.goTo(callback);
    assert.equal(merchant.page.url(), shop.screen());
    await says(merchant, new RegExp(`connected this store to ${COMPANY}`));
    assert.equal((await daemon.status()).grant_id, grant);
    assert.equal(await merchant.page.locator('#counterfoil-confirm').count(), 0, 'the same company is confirmed');
  });

  it('sends nothing that no nonce and no right stands behind', async () => {
    const { grant_id: grant } = await daemon.status();
    await shop.php('wp_insert_user(["user_login" => "editor", "user_pass" => "an editor of this shop", "role" => "editor"]);');
    const editor = await Person.open();
    await shop.signIn(editor, 'editor', 'an editor of this shop');
    await editor.goTo(shop.screen());
    await says(editor, /not allowed/);
    const tried = (person, form) => person.page.evaluate(async (fields) => {
      const answer = await fetch('/wp-admin/admin-post.php', { method: 'POST', body: new URLSearchParams(fields), redirect: 'manual' });
      return answer.status;
    }, form);
    assert.equal(await tried(merchant, { action: 'counterfoil_disconnect' }), 403);
    assert.equal(await tried(editor, { action: 'counterfoil_disconnect' }), 403);
    await editor.goTo(shop.at('/wp-admin/admin-post.php?action=counterfoil_callback&code=x&state=y'));
    await says(editor, /may not connect/);
    await editor.close();
    assert.equal((await daemon.status()).grant_id, grant);
  });

  it('is not called for on any page but its own, and nothing outside ever', async () => {
    await shop.watchCalls();
    await merchant.goTo(shop.at('/wp-admin/'));
    const menu = await merchant.page.locator('#adminmenu a').evaluateAll((links) => links.map(({ href }) => href));
    const others = new Set(menu.filter((url) => !/page=counterfoil|site-health|customize/.test(url)));
    assert.ok(others.size > 20, `${others.size} screens`);
    for (const path of ['/wp-login.php', '/', '/?pagename=pay', '/?s=pay', '/?feed=rss2', '/?rest_route=/', '/?rest_route=/wp/v2/pages']) others.add(shop.at(path));
    const { calls } = shop.gate;
    for (const url of others) {
      await merchant.goTo(url);
      assert.equal(shop.gate.calls, calls, url);
    }
    await merchant.goTo(shop.screen());
    assert.ok(shop.gate.calls > calls);
    for (const url of [shop.screen('counterfoil-payments'), shop.at('/wp-admin/plugins.php')]) await merchant.goTo(url);
    await shop.php('do_action("counterfoil_check");');
    const asked = await shop.watchedCalls();
    assert.ok(asked.length > 0, 'WordPress itself asks for updates, which shows that it is watched');
    assert.deepEqual(asked.filter((line) => line.includes('counterfoil')), []);
  });

  it('finds it in Site Health, without what support should not see', async () => {
    const told = merchant.page.waitForResponse(/counterfoil(\/|%2F)v1(\/|%2F)tests(\/|%2F)connection/, { timeout: 180_000 });
    await merchant.goTo(shop.at('/wp-admin/site-health.php'));
    assert.equal((await (await told).json()).status, 'good');
    await merchant.page.getByText(`The store is connected to its payment platform and pays ${COMPANY}`).waitFor({ state: 'attached' });
    await merchant.page.getByText('The last check of the payment connection found no trouble').waitFor({ state: 'attached' });
    await merchant.goTo(shop.at('/wp-admin/site-health.php?tab=debug'));
    const copied = await merchant.page.locator('.copy-button').getAttribute('data-clipboard-text');
    assert.match(copied, /counterfoil[\s\S]*state: connected/);
    const { thumbprint } = await daemon.status();
    assert.ok(!copied.includes(thumbprint) && !copied.includes(shop.gate.path));
  });

  it('says the same on the command line', async () => {
    const wp = (call, before = '') => shop.php(`${before} class WP_CLI {
      static function line($text) { echo $text, "\\n"; }
      static function success($text) { echo "success: $text"; }
      static function error($text) { echo "error: $text"; exit(0); }
      static function halt($code) { echo "exit $code"; exit; }
    } (new Counterfoil\\WordPress\\Cli())->${call};`);
    const told = JSON.parse(await wp('status([], ["format" => "json"])'));
    assert.deepEqual([told.state, told.company, told.confirmed], ['connected', COMPANY, true]);
    assert.match(await wp('test()'), /^success/);
    assert.match(await wp('connect()'), /^error: .*--user=NAME/);
    const [url, , then] = (await wp('connect()', 'wp_set_current_user(1);')).split('\n');
    assert.ok(then.endsWith(shop.screen()), then);
    await phone.goTo((await land.browser.approve(url, COMPANY)).callback);
    await says(phone, new RegExp(`connected this store to ${COMPANY}`));
    await shop.gate.close();
    assert.match(await wp('status([], [])'), /daemon_missing[\s\S]*exit 1$/);
    assert.match(await wp('test()'), /^error: .*systemctl start counterfoild \(daemon_missing\)$/);
    await shop.gate.open(daemon.socket);
  });

  it('of a copy is in safe mode, and the original is not disturbed', async () => {
    const before = await daemon.status();
    const copy = `http://localhost:${shop.port}`;
    await shop.pretendToBe(copy);
    await merchant.goTo(`${copy}/wp-login.php`);
    const here = shop.url;
    shop.url = copy;
    await shop.signIn(merchant);
    await merchant.goTo(shop.screen());
    await says(merchant, /Safe mode.*What is this site\?.*The store has moved here.*This is a separate store.*This is just a copy/);
    assert.equal(await merchant.page.locator('#counterfoil-connect, #counterfoil-disconnect').count(), 0);
    await merchant.lookAt('wordpress-copy', OURS);
    await shop.php('do_action("counterfoil_check"); do_action("counterfoil_check");');
    shop.url = here;
    await shop.pretendToBe();
    await shop.copyFiles('copy');
    const tried = `use Counterfoil\\WordPress\\{Connection, Payments\\Links, Payments\\Records}; echo Connection::read()->state(), " ";
      try { Links::open(Records::prepare("", "1.00", "EUR", "")); } catch (Throwable $e) { echo get_class($e); }`;
    assert.match(await shop.php(`eval(${JSON.stringify(tried).replaceAll('$', '\\$')});`, 'copy'), /^safe_mode .*SafeMode$/);
    const { grant_id: grant, state } = await daemon.status();
    assert.deepEqual([grant, state], [before.grant_id, 'connected']);
    await merchant.goTo(shop.screen());
    await says(merchant, /Connected/);
    await merchant.press('Make a test call');
    await says(merchant, /The test call worked/);
  });

  it('hears of a daemon that is gone by one letter, and sees when it is back', async () => {
    const letters = `add_filter("pre_wp_mail", function ($done, $mail) { echo $mail["subject"], "\\n"; return true; }, 10, 2);`;
    assert.equal(await shop.php(`${letters} do_action("counterfoil_check");`), '');
    await shop.gate.close();
    await daemon.kill();
    assert.equal(await shop.php(`${letters} do_action("counterfoil_check");`), '');
    const sent = await shop.php(`${letters} for ($i = 0; $i < 5; $i++) { do_action("counterfoil_check"); }`);
    assert.equal(sent, '[Harbour Books] No payments can be taken at the moment\n');
    await merchant.goTo(shop.at('/wp-admin/plugins.php'));
    await says(merchant, /Counterfoil: The Counterfoil daemon does not answer.*See what to do/);
    await merchant.goTo(shop.screen());
    await says(merchant, /does not answer/);
    await daemon.launch();
    await shop.gate.open(daemon.socket);
    assert.equal(await shop.php(`${letters} do_action("counterfoil_check");`), '');
    await merchant.goTo(shop.at('/wp-admin/plugins.php'));
    assert.ok(!/does not answer/.test(await merchant.text()));
    await merchant.goTo(shop.screen());
    await says(merchant, /Connected/);
  });

  it('hears that the platform ended the connection, and may let another company be paid, once it is confirmed', async () => {
    const letters = 'delete_option("counterfoil_checked"); add_filter("pre_wp_mail", function ($done, $mail) { echo $mail["message"], "\\n"; return true; }, 10, 2);';
    const { grant_id: grant } = await daemon.status();
    await land.server.operator(['grant', 'revoke', grant, '--yes']);
    await merchant.goTo(shop.screen());
    await merchant.press('Make a test call');
    await until('the end of the connection', async () => (await daemon.status()).state === 'reconnect_required', 120);
    await merchant.goTo(shop.screen());
    await says(merchant, /The connection has ended/);
    await look('ended');
    const sent = await shop.php(`${letters} for ($i = 0; $i < 5; $i++) { do_action("counterfoil_check"); }`);
    assert.equal(sent.match(/There is one letter about this/g)?.length, 1, sent);
    await merchant.goTo(shop.at('/wp-admin/plugins.php'));
    await says(merchant, /Counterfoil: .*See what to do/);
    await goToPlatform('Connect');
    await approve(OTHER);
    await says(merchant, /Is this the company that gets paid\? Süddeutsche .* & Töchter/);
    await look('long-company');
    await merchant.goTo(shop.screen('counterfoil-payments'));
    assert.equal(await merchant.page.locator('#counterfoil-create').count(), 0);
    assert.match(await shop.php('do_action("counterfoil_check"); echo get_option("counterfoil_trouble")["code"];'), /company_unconfirmed$/);
    await merchant.goTo(shop.screen());
    await merchant.press('Yes, this company gets paid');
    await says(merchant, /Payments go to Süddeutsche/);
    await shop.php('do_action("counterfoil_check");');
    await merchant.goTo(shop.screen('counterfoil-payments'));
    await says(merchant, /Whoever opens the link pays Süddeutsche/);
    await look('long-company-payments');
  });

  it('disconnects, and connects again', async () => {
    await merchant.goTo(shop.screen());
    await merchant.press('Disconnect this store');
    await says(merchant, /This store is disconnected.*Not connected/);
    assert.equal((await daemon.status()).state, 'disconnected');
    await goToPlatform('Connect');
    await approve(COMPANY);
    await says(merchant, /Is this the company that gets paid\?/);
    await merchant.press('Yes, this company gets paid');
    await says(merchant, /Payments go to/);
  });

  it('removes the plugin; what it kept is gone, and the connection goes on', async () => {
    await shop.php('require_once ABSPATH . "wp-admin/includes/plugin.php"; deactivate_plugins("counterfoil/counterfoil.php"); uninstall_plugin("counterfoil/counterfoil.php");');
    const left = await shop.php(`global $wpdb; foreach (["options" => "option_name", "usermeta" => "meta_key", "posts" => "post_type", "postmeta" => "meta_key"] as $table => $column) {
      echo implode(" ", $wpdb->get_col("SELECT $column FROM {$wpdb->prefix}$table WHERE $column LIKE '%counterfoil%'")); }
      echo strpos(serialize(get_option("cron")), "counterfoil") === false ? "" : "cron";`);
    assert.equal(left, '');
    assert.equal((await daemon.status()).state, 'connected');
  });

  it('never made PHP complain', () => {
    assert.deepEqual(shop.complaints(), []);
  });
});
