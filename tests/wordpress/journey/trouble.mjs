// Copies, a daemon that is gone, a connection that ended.
import assert from 'node:assert/strict';
import { it } from 'node:test';

import { until } from '../../interop/lib/processes.mjs';
import {
  approve, COMPANY, daemon, goToPlatform, land, look, merchant, OTHER, OURS, says, shop,
} from '../lib/merchant.mjs';

export function trouble() {
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
}
