// Installing, connecting, and who gets paid.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { it } from 'node:test';

import { ok, send } from '../../interop/lib/http.mjs';
import { approve, COMPANY, daemon, goToPlatform, land, look, merchant, says, shop } from '../lib/merchant.mjs';
import { ZIP } from '../lib/shop.mjs';

export function connecting() {
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
}
