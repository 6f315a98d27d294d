// A backup that is made while stores refresh and pay, and restored later: the stores are ahead of it and stay connected.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { ok } from './lib/http.mjs';
import { clockPasses } from './lib/kit.mjs';
import { LANDS } from './lib/lands.mjs';
import { Store } from './lib/native.mjs';
import { SERVER_BIN, run, until } from './lib/processes.mjs';

const LIFETIME = 6;
const LINKS = '/v1/api/makepay/payment-links';
const land = LANDS[1]();

const create = (daemon) => daemon.local('POST', LINKS, { json: { payload: { amount: '12.50', fiatCurrency: 'EUR' } } });
const command = (...args) => run(SERVER_BIN, ['--data-dir', land.server.dataDir, ...args]);
/** Waits until the daemon has another token than it had. */
async function renewed(daemon) {
  const expiry = async () => (await daemon.status()).token?.expires_at;
  const former = await expiry();
  await until('the daemon refreshes', async () => ![undefined, former].includes(await expiry()));
}
const events = async (...args) => (await land.server.operator(['audit', 'list', ...args])).records;

before(() => land.start({ accessToken: LIFETIME }));
after(() => land.stop());

describe('a restored server', () => {
  it('keeps its stores, tells what comes back to life, and notes all of it', async () => {
    const daemon = await land.connected();
    const { thumbprint } = await daemon.status();
    const shops = [];
    for (const platform of ['medusa', 'wordpress']) {
      const shop = new Store(land.server, platform);
      // Tokens live for seconds here, which the honest client does not take for granted.
      shop.accept = (answer) => { shop.tokens = ok(answer); };
      await shop.connect(land.browser);
      shops.push(shop);
    }
    const [refreshing, revoked] = shops;

    // Under load, and that what is written meanwhile is not torn the check of the backup tells.
    const backup = join(land.server.directory.path, 'backup');
    let done = false;
    const load = (async () => {
      let calls = 0;
      for (; !done; calls += 1) {
        await refreshing.accept(await refreshing.refresh());
        ok(await create(daemon), 201);
      }
      return calls;
    })();
    const made = await land.server.operator(['backup', '--to', backup]);
    done = true;
    assert.ok(await load > 0);
    assert.deepEqual(readdirSync(backup).sort(), ['counterfoil.db', 'manifest.json']);
    assert.equal(statSync(backup).mode & 0o777, 0o700);
    assert.equal(made.with_keys, false);
    for (const name of ['at-rest.key', 'signing-keys.json']) {
      const secret = readFileSync(join(land.server.dataDir, 'keys', name), 'utf8').trim();
      for (const file of readdirSync(backup)) assert.ok(!readFileSync(join(backup, file), 'latin1').includes(secret));
    }

    // Everybody gets ahead of the backup, twice; one store is revoked.
    for (const _ of [1, 2]) await refreshing.accept(await refreshing.refresh());
    await renewed(daemon);
    await land.server.operator(['installation', 'release', revoked.clientId, '--yes']);

    const running = await command('restore', '--from', backup, '--force');
    assert.equal(running.code, 1);
    assert.match(running.stderr, /a server runs on/);
    await land.server.kill();
    const refused = await command('restore', '--from', backup);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /--force/);
    assert.match(refused.stderr, new RegExp(`released by operator:.+ ${revoked.clientId}`));
    const restored = await land.server.operator(['restore', '--from', backup, '--force']);
    assert.deepEqual([restored.holds.installations, restored.holds.connections], [3, 3]);
    const elsewhere = join(land.server.directory.path, 'elsewhere');
    mkdirSync(join(elsewhere, 'keys'), { recursive: true, mode: 0o700 });
    cpSync(join(land.server.dataDir, 'keys'), join(elsewhere, 'keys'), { recursive: true });
    const bare = await run(SERVER_BIN, ['--data-dir', elsewhere, 'restore', '--from', backup]);
    assert.equal(bare.code, 0, bare.stderr);
    assert.match(bare.stdout, /holds: companies 1, people 1, .* connections 3[^]*cannot be told: no database was here/);
    assert.ok(bare.stdout.includes(`${revoked.site} at`), bare.stdout);
    assert.ok(restored.undone.some(({ event, client_id: id }) => event === 'released' && id === revoked.clientId));
    await land.server.operator(['check']);
    await land.server.launch();
    // A restored server refuses proofs made before its start, whose second this still is.
    await clockPasses(Math.floor(Date.now() / 1000) + 1);

    // The store that is ahead goes on, and so does the daemon, by itself.
    await refreshing.accept(await refreshing.refresh());
    await refreshing.stillWorks();
    await until('the daemon works', async () => (await create(daemon)).status === 201);
    await renewed(daemon);
    const status = await daemon.status();
    assert.deepEqual([status.state, status.thumbprint], ['connected', thumbprint]);
    const adopted = (await events()).filter(({ event }) => event === 'adopted').map(({ client_id: id }) => id);
    assert.ok(adopted.includes(refreshing.clientId), 'the medusa store was adopted');
    assert.ok(adopted.length >= 2, 'so was the daemon');
    // What was released stands again, as was told.
    await revoked.accept(await revoked.refresh());
    await revoked.stillWorks();
    assert.ok((await events()).some(({ event }) => event === 'restored'));
    const { ok: whole } = await land.server.operator(['audit', 'verify']);
    assert.equal(whole, true);
  });
});
