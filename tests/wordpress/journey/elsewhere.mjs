// What is seen outside of the plugin's own screens.
import assert from 'node:assert/strict';
import { it } from 'node:test';

import { COMPANY, daemon, land, merchant, phone, says, shop } from '../lib/merchant.mjs';

export function elsewhere() {
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
}
