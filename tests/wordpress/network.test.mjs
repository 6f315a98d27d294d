// A network of two sites: the plugin is switched on for both at once, and each has a connection of its own.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Person } from '../interop/lib/chromium.mjs';
import { send } from '../interop/lib/http.mjs';
import { LANDS } from '../interop/lib/lands.mjs';
import { Shop } from './lib/shop.mjs';

const OURS = { within: '#wpbody-content' };
const land = LANDS.map((make) => make()).find(({ name }) => name === 'counterfoil-server');
let shop;
let daemon;
let admin;
let phone;

const says = async (pattern, person = admin) => assert.match(await person.text(), pattern);

describe('a network of sites', () => {
  before(async () => {
    [shop] = await Promise.all([Shop.start({ network: true, installed: true }), land.start()]);
    daemon = await land.daemon('wordpress', shop.store);
    [admin, phone] = [await Person.open(), await Person.open({ size: 'phone' })];
    await shop.signIn(admin);
    await shop.signIn(phone);
  });
  after(async () => {
    await Promise.all([admin?.close(), phone?.close()]);
    await shop?.stop();
    await land.stop();
  });

  it('is switched on for all of them, and none is connected yet', async () => {
    await admin.goTo(shop.at('/wp-admin/network/admin.php?page=counterfoil'));
    await says(/Harbour Books http:\/\/127\.0\.0\.1:\d+ Not connected – \/run\/counterfoil\/api\.sock.*Second Shop http:\/\/localhost:\d+ Not connected/);
    for (const site of [shop.url, `http://localhost:${shop.port}`]) assert.equal((await send(`${site}/`)).status, 200);
    const scheduled = 'echo wp_json_encode(array_map(function ($id) { switch_to_blog($id); return is_int(wp_next_scheduled("counterfoil_check")); }, [1, 2]));';
    assert.equal(await shop.php(scheduled), '[true,true]');
  });

  it('connects one site, and the other knows nothing of it', async () => {
    await admin.goTo(shop.screen());
    await admin.page.getByLabel('Socket').fill(daemon.socket);
    await admin.press('Save');
    await admin.press('Connect');
    await admin.signIn(land.browser.person);
    await admin.press('Approve');
    await admin.press('Yes, this company gets paid');
    await says(/Payments go to Nordwind Trading/);
    await shop.php('do_action("counterfoil_check");');
    await admin.goTo(shop.at('/wp-admin/network/admin.php?page=counterfoil'));
    await says(/Harbour Books \S+ Takes payments No trouble \(.*\).*Second Shop \S+ Not connected – \/run\/counterfoil\/api\.sock/);
    await admin.lookAt('wordpress-network', OURS);
    await phone.goTo(admin.page.url());
    await phone.lookAt('wordpress-network', OURS);
  });

  it('takes a site that uses another\'s daemon for a copy, which does not disturb it', async () => {
    const { grant_id: grant } = await daemon.status();
    const second = `switch_to_blog(2); update_option("counterfoil_socket", "${daemon.socket}", false); echo Counterfoil\\WordPress\\Connection::read()->state();`;
    assert.equal(await shop.php(second), 'safe_mode');
    const { grant_id: now, state } = await daemon.status();
    assert.deepEqual([now, state], [grant, 'connected']);
  });

  it('lets the administrator of the network alone say where a daemon is', async () => {
    await shop.php('$id = wp_insert_user(["user_login" => "keeper", "user_pass" => "a keeper of one shop", "role" => "administrator"]);');
    const keeper = await Person.open();
    await shop.signIn(keeper, 'keeper', 'a keeper of one shop');
    await keeper.goTo(shop.screen());
    await says(/Connected.*The administrator of this network says where it is/, keeper);
    assert.equal(await keeper.page.locator('#counterfoil-settings').count(), 0);
    await keeper.goTo(shop.at('/wp-admin/network/admin.php?page=counterfoil'));
    await says(/not allowed|do not have sufficient|not have access/, keeper);
    await keeper.close();
  });

  it('forgets both when the plugin is removed, and the connection goes on', async () => {
    await shop.dieWithLock('switch_to_blog(2);');
    const left = await shop.php(`require_once ABSPATH . "wp-admin/includes/plugin.php"; wp_set_current_user(1);
      deactivate_plugins("counterfoil/counterfoil.php", false, true); uninstall_plugin("counterfoil/counterfoil.php");
      foreach (get_sites(["fields" => "ids"]) as $site) { switch_to_blog($site);
        echo implode(" ", $wpdb->get_col("SELECT option_name FROM $wpdb->options WHERE option_name LIKE '%counterfoil%'"));
        echo strpos(serialize(get_option("cron")), "counterfoil") === false ? "" : "cron"; restore_current_blog(); }`);
    assert.equal(left, '');
    assert.equal((await daemon.status()).state, 'connected');
  });

  it('never made PHP complain', () => {
    assert.deepEqual(shop.complaints(), []);
  });
});
