// Callbacks and forms that change nothing.
import assert from 'node:assert/strict';
import { it } from 'node:test';

import { Person } from '../../interop/lib/chromium.mjs';
import { callbackOf, COMPANY, daemon, goToPlatform, look, merchant, phone, says, shop } from '../lib/merchant.mjs';
import { patient } from '../lib/shop.mjs';

export function callbacks() {
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
    const stranger = patient(await Person.open());
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
}
