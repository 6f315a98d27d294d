// Payment links, and what is heard of them.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';

import { ok, send } from '../../interop/lib/http.mjs';
import { until } from '../../interop/lib/processes.mjs';
import { daemon, land, look, merchant, says, shop } from '../lib/merchant.mjs';
import { NOTIFICATION } from '../lib/shop.mjs';

const SUBSCRIPTION = 'PUT /api/partner/v1/makepay/webhook-subscriptions/current';

/** Presses the first of several buttons. */
const pressFirst = (name) => merchant.click(merchant.page.getByRole('button', { name }).first());

const signed = (secret, body) => {
  const at = Math.floor(Date.now() / 1000);
  return { 'content-type': 'application/json', 'x-makepay-signature': `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}` };
};

/** What this site knows of a payment: its status, and "!" where it is not what was asked for. */
const known = (uid) => shop.php(`$r = Counterfoil\\WordPress\\Payments\\Records::byUid("${uid}"); echo $r->status, $r->mismatch ? "!" : "";`);

/** Makes a payment link over 7.00 EUR as a program would, and answers its name. */
const createLink = () => shop.php(`$r = Counterfoil\\WordPress\\Payments\\Records::prepare("", "7.00", "EUR", "a deposit");
  Counterfoil\\WordPress\\Payments\\Links::open($r); echo $r->uid;`);

export function payments() {
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
    // A frame that the editor takes away while it is looked at shows nothing.
    const drawn = (frame) => frame.getByText('Pay 19.90 EUR').count().catch(() => 0);
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
    shop.gate.refuses = NOTIFICATION;
    await land.server.operator(['payment-link', 'set-status', uid, 'complete']);
    await until('a lost notification', () => shop.gate.turnedAway > 0, 120);
    assert.equal(await known(uid), '');
    await shop.php('do_action("counterfoil_check");');
    assert.equal(await known(uid), 'complete');
    shop.gate.refuses = undefined;
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
}
