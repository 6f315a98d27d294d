// The operator's hand on a running server: keys that change, profiles of one's own, what is shown and what never is.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { Browser } from './lib/browser.mjs';
import { Key } from './lib/dpop.mjs';
import { challenged, ok, refused, send } from './lib/http.mjs';
import { UNTHROTTLED, world } from './lib/kit.mjs';
import { PLATFORMS, Store } from './lib/native.mjs';
import { SERVER_BIN, Server, run, temporaryDirectory } from './lib/processes.mjs';

const directory = temporaryDirectory();
const profiles = join(directory.path, 'profiles');
mkdirSync(profiles);
writeFileSync(join(profiles, 'careful.toml'), `platform = "careful"
name = "Careful shops"
publisher = "Nobody"
callback = "{site_url}/back"
registration_id = true
scopes = ["company:read", "makepay:payment-links:read", "makepay:payment-links:write"]
token_algorithm = "ES256"
require_nonce = true
`);
PLATFORMS.careful = {
  algorithm: 'ES256', identified: true, version: {}, callback: (site) => `${site}/back`,
  scopes: ['company:read', 'makepay:payment-links:read', 'makepay:payment-links:write'],
};

const here = world({ settings: `profiles_dir = ${JSON.stringify(profiles)}\n${UNTHROTTLED}`, after: directory.remove });

async function connected(platform) {
  const shop = new Store(here.server, platform);
  await shop.connect(here.browser);
  return shop;
}

describe('signing keys', () => {
  const published = async () => {
    const answer = await send(`${here.server.issuer}/oauth/jwks.json`);
    assert.equal(answer.headers['cache-control'], 'public, max-age=60');
    return ok(answer).keys.map(({ kid }) => kid);
  };
  const signer = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).kid;
  const rotate = (...args) => here.server.operator(['key', 'rotate', ...args]);
  const retire = (...args) => run(SERVER_BIN, ['--data-dir', here.server.dataDir, 'key', 'retire', ...args, '--json']);

  it('are published while the server runs, before they sign', async () => {
    const shop = await connected('wordpress');
    const before = await published();
    const { keys, withdrawn } = await rotate('--algorithm', 'ES256');
    assert.deepEqual([keys.length, keys[0].state, withdrawn], [1, 'waiting', []]);
    assert.equal(Date.parse(keys[0].signs_from) - Date.parse(keys[0].created_at), 600_000);
    assert.deepEqual(await published(), [...before, keys[0].kid]);
    await shop.accept(await shop.refresh());
    assert.ok(before.includes(signer(shop.tokens.access_token)), 'the key before signs still');
    const twice = await run(SERVER_BIN, ['--data-dir', here.server.dataDir, 'key', 'rotate']);
    assert.deepEqual([twice.code, /waits already/.test(twice.stderr)], [1, true]);
    const gone = await retire(keys[0].kid);
    assert.equal(gone.code, 0, gone.stderr);
    assert.deepEqual(await published(), before);
  });

  it('change at once in an emergency, and what the old ones signed is good until they are retired', async () => {
    const shops = [await connected('medusa'), await connected('wordpress')];
    const before = await published();
    await rotate('--after', '3600');
    const { keys, withdrawn } = await rotate('--now');
    assert.deepEqual([keys.length, withdrawn.length], [2, 2]);
    const olds = [];
    for (const shop of shops) {
      const { access_token: old } = shop.tokens;
      olds.push(signer(old));
      ok(await shop.api('GET', 'payment-links'));
      await shop.accept(await shop.refresh());
      assert.ok(keys.some(({ kid }) => kid === signer(shop.tokens.access_token)), shop.platform);
      ok(await shop.api('GET', 'payment-links', { token: old }));
      shop.old = old;
    }
    assert.deepEqual(await published(), [...before, ...keys.map(({ kid }) => kid)]);
    const signs = await retire(keys[0].kid, '--yes');
    assert.deepEqual([signs.code, /signs .* tokens now/.test(signs.stderr)], [1, true]);
    for (const [index, shop] of shops.entries()) {
      const asked = await retire(olds[index]);
      assert.equal(asked.code, 1);
      assert.match(asked.stderr, /access tokens that it signed are good until .* Nothing was changed; to go on, give --yes/);
      ok(await shop.api('GET', 'payment-links', { token: shop.old }));
      const done = await retire(olds[index], '--yes');
      assert.equal(done.code, 0, done.stderr);
      challenged(await shop.api('GET', 'payment-links', { token: shop.old }), 'invalid_token');
      assert.ok(!(await published()).includes(olds[index]));
    }
    await here.server.restart();
    for (const shop of shops) await shop.stillWorks();
    const { records } = await here.server.operator(['audit', 'list', '--limit', '200']);
    const noted = records.map(({ event }) => event).filter((event) => event.startsWith('signing_key_'));
    const count = (event) => noted.filter((each) => each === event).length;
    assert.deepEqual(
      ['made', 'withdrawn', 'retired'].map((what) => count(`signing_key_${what}`)), [5, 3, 2],
    );
  });

  it('are published without their private parts', async () => {
    const { keys } = ok(await send(`${here.server.issuer}/oauth/jwks.json`));
    assert.ok(keys.length >= 2);
    for (const jwk of keys) {
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.ok(!(member in jwk), member);
      assert.equal(jwk.use, 'sig');
      assert.ok(['RS256', 'ES256'].includes(jwk.alg));
    }
  });
});

describe('a profile of the operator\'s own', () => {
  it('may demand nonces', async () => {
    const shop = new Store(here.server, 'careful');
    const url = shop.at('/oauth/native/installations');
    const answers = async (attempt, challenge = (answer) => refused(answer, 400, 'use_dpop_nonce')) => {
      const first = await attempt(undefined);
      challenge(first);
      assert.equal(first.headers['www-authenticate']?.includes('Basic') ?? false, false);
      return attempt(first.headers['dpop-nonce']);
    };
    const registered = await answers((nonce) => shop.register({ proof: shop.key.proof('POST', url, { nonce }) }));
    shop.clientId = ok(registered, 201).client_id;
    const par = shop.at('/oauth/par');
    const push = (nonce) => send(par, {
      form: shop.request().parameters, headers: { dpop: shop.key.proof('POST', par, { nonce }) },
    });
    ok(await answers(push), 201);
    const grant = await shop.authorize(here.browser);
    const token = shop.at('/oauth/token');
    const redeem = (nonce) => shop.redeem(grant, { proof: shop.key.proof('POST', token, { nonce }) });
    shop.tokens = ok(await answers(redeem));
    const read = (nonce) => shop.api('GET', 'payment-links', { knobs: { nonce } });
    ok(await answers(read, (answer) => challenged(answer, 'use_dpop_nonce')));
    const stale = await answers(
      (nonce) => read(nonce && `${nonce}x`), (answer) => challenged(answer, 'use_dpop_nonce'),
    );
    challenged(stale, 'use_dpop_nonce');
  });

  it('is listed beside those built in', async () => {
    const { profiles: rows } = await here.server.operator(['profile', 'list', '--config', here.server.config]);
    const names = rows.map(({ platform }) => platform).sort();
    assert.deepEqual(names, ['btcpay-server', 'careful', 'medusa', 'wordpress']);
  });
});

describe('what is shown', () => {
  it('of a store is everything but its secrets', async () => {
    const shop = await connected('wordpress');
    const listed = await here.server.operator(['installation', 'list']);
    const one = listed.installations.find(({ client_id: id }) => id === shop.clientId);
    assert.equal(one.site_url, shop.site);
    const shown = await here.server.operator(['installation', 'show', shop.clientId]);
    for (const value of [listed, shown]) {
      const text = JSON.stringify(value);
      for (const secret of [
        shop.registrationId, shop.tokens.refresh_token, shop.tokens.access_token,
      ]) assert.ok(!text.includes(secret));
    }
  });

  it('of an application is its secret, once', async () => {
    const app = await here.server.app('Ledger', 'Nordwind Trading', {
      redirectUris: ['https://app.example/cb'], scopes: ['company:read'],
    });
    assert.match(app.client_id, /^mco_app_/);
    assert.match(app.client_secret, /^mco_sec_/);
    const desk = await here.server.app('Desk', 'Nordwind Trading', {
      redirectUris: ['https://app.example/cb'], scopes: ['company:read'], flags: ['--public'],
    });
    assert.ok(!desk.client_secret);
  });

  it('by check is that all is well', async () => {
    const { ok: well } = await here.server.operator(['check', '--config', here.server.config]);
    assert.equal(well, true);
  });
});

describe('the command line', () => {
  it('takes --data-dir before and after the command', async () => {
    for (const args of [
      ['--data-dir', here.server.dataDir, 'installation', 'list'],
      ['installation', 'list', '--data-dir', here.server.dataDir],
    ]) {
      const { code, stdout, stderr } = await run(SERVER_BIN, [...args, '--json']);
      assert.equal(code, 0, stderr);
      assert.ok(Array.isArray(JSON.parse(stdout).installations));
    }
  });

  it('refuses what cannot work', async () => {
    const elsewhere = ['--data-dir', join(directory.path, 'other')];
    for (const [name, args] of Object.entries({
      'an issuer with a path': ['serve', '--issuer', 'https://pay.example/tenant', ...elsewhere],
      'an issuer with a slash': ['serve', '--issuer', 'https://pay.example/', ...elsewhere],
      'plain http abroad': ['serve', '--issuer', 'http://pay.example', ...elsewhere],
      'an unknown company': [
        '--data-dir', here.server.dataDir, 'app', 'add', '--name', 'X', '--company', 'Nobody', '--redirect-uri',
        'https://x.example/cb',
      ],
      'an unknown command': ['dance', ...elsewhere],
    })) {
      const { code, stderr } = await run(SERVER_BIN, args);
      assert.notEqual(code, 0, name);
      assert.ok(stderr.length > 0 && !stderr.includes('panicked'), `${name}: ${stderr}`);
    }
  });

  it('starts no second server on the same data', async () => {
    const { code, stderr } = await run(SERVER_BIN, [
      'serve', '--data-dir', here.server.dataDir, '--listen', `127.0.0.1:${new URL(here.server.issuer).port}`,
      '--issuer', here.server.issuer,
    ]);
    assert.notEqual(code, 0, stderr);
    assert.equal((await send(`${here.server.issuer}/healthz`)).status, 200);
  });

  it('keeps servers of different data apart', async () => {
    const other = await Server.start();
    const shop = await connected('wordpress');
    const stranger = new Store(other, 'wordpress');
    Object.assign(stranger, { clientId: shop.clientId, tokens: shop.tokens, key: new Key() });
    assert.equal((await stranger.api('GET', 'payment-links', { key: shop.key })).status, 401);
    await other.stop();
  });
});

describe('for scripts', () => {
  const data = () => ['--data-dir', here.server.dataDir];

  it('a refusal with --json is an object on stderr, with the status that it has without', async () => {
    const unknown = 'there is no company "Nobody"';
    for (const [status, error, args, sentence] of [
      [1, 'not_done', [...data(), 'company', 'show', 'Nobody'], unknown],
      [1, 'not_done', [...data(), 'company', 'close', 'Nordwind Trading'], 'Nothing was changed; to go on, give --yes'],
      [1, 'not_done', ['--data-dir', join(directory.path, 'none'), 'app', 'list'], "there is no server's data in"],
      [2, 'wrong_arguments', [...data(), 'company', 'dance'], "unrecognized subcommand 'dance'"],
      [2, 'wrong_arguments', [...data(), 'company', 'list', '--limit', '0'], '1..=10000'],
    ]) {
      const plain = await run(SERVER_BIN, args);
      assert.deepEqual([plain.code, plain.stdout], [status, ''], args.join(' '));
      assert.ok(plain.stderr.includes(sentence) && !plain.stderr.startsWith('{'), plain.stderr);
      const { code, stdout, stderr } = await run(SERVER_BIN, [...args, '--json']);
      assert.deepEqual([code, stdout], [status, ''], args.join(' '));
      const said = JSON.parse(stderr);
      assert.deepEqual([Object.keys(said), said.error], [['error', 'message'], error]);
      assert.ok(said.message.includes(sentence) && !said.message.startsWith('error:'), said.message);
    }
  });

  it('a reader that has left is no trouble to what is only read, and is told where something was done', async () => {
    // The pipe's reader is gone before the command begins.
    const unheard = (args) => run('bash', [
      '-c', 'exec 3> >(:); wait $!; exec "$@" >&3', 'bash', SERVER_BIN, ...data(), ...args,
    ]);
    for (const args of [
      ['audit', 'list'], ['audit', 'export'], ['company', 'list'], ['user', 'list'], ['app', 'list'], ['key', 'list'],
      ['installation', 'list'], ['grant', 'list'], ['payment-link', 'list'], ['profile', 'list'], ['webhook', 'endpoints'],
      ['audit', 'list', '--json'],
    ]) {
      const { code, stderr } = await unheard(args);
      assert.deepEqual([code, stderr], [0, ''], args.join(' '));
    }
    const { code, stderr } = await unheard(['company', 'add', 'Unheard']);
    assert.deepEqual([code, /cannot write the answer/.test(stderr)], [1, true]);
    assert.equal((await here.server.operator(['company', 'show', 'Unheard'])).name, 'Unheard');
  });

  it('check says which settings it looked at', async () => {
    const check = (args, variables) => run(SERVER_BIN, [...args, 'check', '--json'], '', variables);
    const settings = ({ stdout }) => {
      const { settings_file: file, checks } = JSON.parse(stdout);
      return [file, checks.find((it) => it.check === 'settings').message];
    };
    const config = here.server.config;
    const [none, defaults] = settings(await check(data()));
    assert.equal(none, null);
    assert.match(defaults, /^no settings file \(--config or COUNTERFOIL_CONFIG names one\): defaults; issuer /);
    assert.deepEqual(settings(await check([...data(), '--config', config]))[0], config);
    const [named, from] = settings(await check(data(), {
      COUNTERFOIL_CONFIG: config, COUNTERFOIL_LOG: 'warn', COUNTERFOIL_LOGG: 'warn',
    }));
    assert.equal(named, config);
    const said = `${config}, and of the environment COUNTERFOIL_LOG, while COUNTERFOIL_LOGG names no setting; issuer `;
    assert.ok(from.startsWith(said), from);
  });

  it('long lists come in parts', async () => {
    const shop = await connected('wordpress');
    await connected('wordpress');
    const make = (amount) => shop.api('POST', 'payment-links', { json: { payload: { amount, fiatCurrency: 'EUR' } } });
    const made = [];
    for (const amount of ['1.00', '2.00', '3.00']) made.push(ok(await make(amount), 201).paymentLink.uid);
    await here.server.operator(['payment-link', 'set-status', made[1], 'complete']);
    const uids = async (...args) => {
      const listed = await here.server.operator(['payment-link', 'list', '--client', shop.clientId, ...args]);
      return [listed.payment_links.map(({ uid }) => uid), listed.next_after];
    };
    assert.deepEqual(await uids(), [[...made].reverse(), null]);
    assert.deepEqual(await uids('--limit', '2'), [[made[2], made[1]], made[1]]);
    assert.deepEqual(await uids('--limit', '2', '--after', made[1]), [[made[0]], null]);
    assert.deepEqual(await uids('--payment', 'complete', '--status', 'active'), [[made[1]], null]);
    assert.deepEqual(await uids('--status', 'archived'), [[], null]);
    await here.server.company('Elsewhere');
    assert.deepEqual(await uids('--company', 'Elsewhere'), [[], null]);

    const stores = async (...args) => {
      const listed = await here.server.operator(['installation', 'list', ...args]);
      return [listed.installations.map(({ client_id: id }) => id), listed.next_after];
    };
    const [all, end] = await stores();
    assert.ok(all.length >= 2 && end === null);
    const [first, next] = await stores('--limit', '1');
    assert.deepEqual(first, all.slice(0, 1));
    assert.deepEqual(await stores('--after', next), [all.slice(1), null]);
  });

  it('one is one', async () => {
    await here.server.company('Lone Star');
    await here.server.person('lone@star.example', 'Lone Star');
    const show = async () => (await run(SERVER_BIN, [...data(), 'company', 'show', 'Lone Star'])).stdout;
    assert.match(await show(), /"Lone Star": 1 person, 0 connections$/m);
    await here.server.person('second@star.example', 'Lone Star');
    assert.match(await show(), /"Lone Star": 2 people, 0 connections$/m);
  });
});

describe('a company', () => {
  it('that is closed takes every connection with it, and its applications', async () => {
    const [shop, other] = [new Store(here.server, 'wordpress'), await connected('wordpress')];
    await here.server.company('Closing Co');
    const person = await here.server.person('last@closing.example', 'Closing Co');
    const browser = new Browser(person);
    await shop.connect(browser);
    const app = await App.register(here.server, { company: 'Closing Co' });
    const { access_token: own } = ok(await app.token({ grant_type: 'client_credentials' }));
    const pending = await shop.authorize(browser);
    const closed = await here.server.operator(['company', 'close', 'Closing Co', '--yes']);
    assert.deepEqual([closed.closed, closed.connections_ended], [true, 2]);
    challenged(await shop.api('GET', 'payment-links'), 'invalid_token');
    refused(await shop.refresh(), 400, 'invalid_grant');
    refused(await shop.redeem(pending), 400, 'invalid_grant');
    refused(await app.token({ grant_type: 'client_credentials' }), 401, 'invalid_client');
    const bearer = { token: own, scheme: 'Bearer', proof: null };
    refused(await shop.api('GET', 'payment-links', bearer), 401, 'invalid_token');
    assert.equal((await browser.reachConsent(shop.request().url)).answer.status, 403);
    await other.stillWorks();
  });
});
