// The plugin in a real WordPress, with the real server, the real daemon and a real browser: what a merchant does, and
// what goes wrong. One story, told in parts: each goes on where the one before it ended.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { callbacks } from './journey/callbacks.mjs';
import { connecting } from './journey/connecting.mjs';
import { elsewhere } from './journey/elsewhere.mjs';
import { languages } from './journey/languages.mjs';
import { payments } from './journey/payments.mjs';
import { trouble } from './journey/trouble.mjs';
import { woocommerce } from './journey/woocommerce.mjs';
import { begin, daemon, end, merchant, phone, shop } from './lib/merchant.mjs';

describe('a merchant with WordPress', () => {
  before(begin);
  after(end);

  connecting();
  payments();
  woocommerce();
  languages();
  callbacks();
  elsewhere();
  trouble();

  it('removes the plugin; what it kept is gone, and the connection goes on', async () => {
    // A page that is open asks its site for news by itself, and whoever asks makes anew what is being removed.
    for (const { page } of [merchant, phone]) await page.goto('about:blank');
    await shop.dieWithLock();
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
