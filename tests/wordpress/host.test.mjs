// The plugin as a host runs it: nginx, php-fpm as www-data, and the daemon under a user of its own. To be other users
// takes root, as which these tests run.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';

import { Person } from '../interop/lib/chromium.mjs';
import { LANDS } from '../interop/lib/lands.mjs';
import { DAEMON_BIN, run } from '../interop/lib/processes.mjs';
import { Shop } from './lib/shop.mjs';

/** Nobody of the machine's, in the web server's group, to which it may give its socket therefore. */
const DAEMON = { user: 61_801, groups: [33] };

const land = LANDS.map((make) => make()).find(({ name }) => name === 'counterfoil-server');
let shop;
let daemon;
let merchant;

/** Shows a screen as PHP of another user makes it. */
async function seenBy(user, screen) {
  await merchant.context.setExtraHTTPHeaders(user ? { 'x-pool': user } : {});
  await merchant.goTo(screen);
  return merchant.text();
}

describe('a host with php-fpm', () => {
  before(async () => {
    assert.equal(process.getuid(), 0, 'run as root: these tests are other users');
    [shop] = await Promise.all([Shop.start({ server: 'fpm', installed: true }), land.start()]);
    daemon = await land.daemon('wordpress', { ...shop.store, as: DAEMON, socket: { allow_users: ['www-data'] } });
    await shop.php(`update_option("counterfoil_socket", "${daemon.socket}", false);`);
    merchant = await Person.open();
    await shop.signIn(merchant);
  });
  after(async () => {
    await merchant?.close();
    await shop?.stop();
    await land.stop();
  });

  it('has a daemon of its own user, whose socket is the web server\'s', () => {
    const { uid, gid, mode } = statSync(daemon.socket);
    assert.deepEqual([uid, gid, mode & 0o777], [DAEMON.user, 33, 0o660]);
    const owner = readFileSync(`/proc/${daemon.process.child.pid}/status`, 'utf8');
    assert.match(owner, new RegExp(`^Uid:(\\s+${DAEMON.user}){4}$`, 'm'));
  });

  it('does not tell anybody to wait for a connect that nobody tries again', async () => {
    const { target } = land.proxy;
    land.proxy.target = 'http://127.0.0.1:1';
    await merchant.goTo(shop.screen());
    await merchant.press('Connect');
    assert.match(await merchant.text(), /The payment platform \S.*Try again in a moment\. If it lasts,.*Reference: server_/);
    land.proxy.target = target;
  });

  it('lets www-data connect the store and take a payment', async () => {
    await merchant.goTo(shop.screen());
    await merchant.press('Connect');
    await merchant.signIn(land.browser.person);
    await merchant.press('Approve');
    await merchant.press('Yes, this company gets paid');
    await merchant.goTo(shop.screen('counterfoil-payments'));
    await merchant.page.getByLabel('Amount').fill('12.50');
    await merchant.press('Create the payment link');
    assert.match(await merchant.text(), /The payment link is ready.*12\.50 EUR/);
  });

  it('keeps everybody else out, and says who may mend it and how', async () => {
    for (const [user, code, command] of [['nobody', 'socket_permission', 'doctor'], ['games', 'caller_refused', 'reload']]) {
      const page = await seenBy(user, shop.screen());
      assert.match(page, new RegExp(
        `does not let the web server's user \\(${user}\\) in\\. Add allow_users = \\["${user}"\\].*counterfoild ${command}.*Reference: ${code}`,
      ));
      assert.ok(!page.includes(land.company), page);
      await merchant.lookAt(`wordpress-${code.replace('_', '-')}`, { within: '#wpbody-content' });
      await merchant.goTo(shop.screen('counterfoil-payments'));
      assert.equal(await merchant.page.locator('#counterfoil-create').count(), 0);
    }
    assert.match(await seenBy(null, shop.screen()), /Connected/);
  });

  it('lets in whom the file names, once the daemon has read it again', async () => {
    const file = readFileSync(daemon.config, 'utf8');
    writeFileSync(daemon.config, file.replace('["www-data"]', '["www-data","games"]'));
    const { code, stderr } = await run(DAEMON_BIN, ['reload', '--config', daemon.config, '--socket', daemon.socket]);
    assert.equal(code, 0, stderr);
    assert.match(await seenBy('games', shop.screen()), new RegExp(`Connected.*${land.company}`));
  });

  it('never made PHP complain', () => {
    assert.deepEqual(shop.complaints(), []);
  });
});
