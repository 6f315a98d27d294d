// Registrations that must be refused, with the exact code, and that leave nothing behind.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Key, malleateProof, random } from './lib/dpop.mjs';
import { challenged, ok, refused, send } from './lib/http.mjs';
import { UNTHROTTLED, world } from './lib/kit.mjs';
import { PLATFORMS, Store } from './lib/native.mjs';

const here = world({ settings: UNTHROTTLED });

const installation = (changes, platform = 'medusa') => new Store(here.server, platform).register(changes);

const SITES = [
  'https://shop.example/', 'https://shop.example/path', 'https://shop.example?x=1', 'https://shop.example#x',
  'https://shop.example?',
  'HTTPS://shop.example', 'https://SHOP.example', 'https://shop.example:443', 'https://shop.example:0',
  'https://shop.example:99999',
  'https://user@shop.example', 'https://user:pw@shop.example', 'https://@shop.example', 'https://shop.example.',
  'https://',
  'http://shop.example', 'ftp://shop.example', 'javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd',
  '//shop.example', 'shop.example', '/',
  'https:/shop.example', 'https:\\\\shop.example', 'https://shop.example\\@evil.example',
  'https://evil.example%40shop.example', ' https://shop.example',
  'https://shop.example ', 'https://shop .example', 'https://shop.example\n', 'https://shop.example\t',
  'https://shop.example\u0000', 'https://sh%6fp.example',
  'https://shöp.example', 'https://shop\u3002example', 'https://shop.example/../x', 'https://*.example', 'https://[::1',
  `https://${'a'.repeat(2000)}.example`,
];

const medusaCallbacks = (site) => [
  `${site}/makepay/oauth/callback/`, `${site}/makepay/oauth/callback?`, `${site}/makepay/oauth/callback?x=1`,
  `${site}/makepay/oauth/callback#`,
  `${site}/makepay/oauth/callback#x`, `${site}/makepay/oauth/Callback`, `${site}/makepay/oauth/callback2`,
  `${site}/makepay/oauth`, `${site}`, `${site}/`,
  `${site}//makepay/oauth/callback`, `${site}/x/../makepay/oauth/callback`, `${site}/./makepay/oauth/callback`,
  `${site}/makepay/oauth/%63allback`,
  `${site}/makepay/oauth/callback%00`, `${site}/makepay/oauth/callback%20`, `${site}/makepay/oauth/callback `,
  `${site}/makepay/oauth/call\tback`,
  `${site}\\makepay/oauth/callback`, `${site}:443/makepay/oauth/callback`, `${site}./makepay/oauth/callback`,
  `${site}@evil.example/makepay/oauth/callback`,
  `${site}.evil.example/makepay/oauth/callback`, `${site.replace('https://', 'https://user@')}/makepay/oauth/callback`,
  `${site.replace('https', 'http')}/makepay/oauth/callback`, `${site.replace('https', 'HTTPS')}/makepay/oauth/callback`,
  `${site.toUpperCase()}/makepay/oauth/callback`,
  'https://evil.example/makepay/oauth/callback', 'javascript:alert(1)', 'data:text/html,x',
  'com.example.app:/makepay/oauth/callback', '//shop.example/makepay/oauth/callback',
  '/makepay/oauth/callback', `${site}/makepay/oauth/callback`.repeat(100),
];

describe('what a store says of itself', () => {
  it('a site that is no origin', async () => {
    for (const site of SITES) refused(
      await installation({ siteUrl: site, redirectUri: `${site}/makepay/oauth/callback` }), 400,
      'invalid_native_installation', site,
    );
  });

  it('a callback that is not exactly the platform\'s', async () => {
    const site = 'https://exact.example';
    for (const redirectUri of medusaCallbacks(site)) refused(
      await installation({ siteUrl: site, redirectUri }), 400, 'invalid_native_installation', redirectUri,
    );
    const wordpress = `${site}/wp-admin/admin-post.php`;
    for (const redirectUri of [
      wordpress, `${wordpress}?action=other`, `${wordpress}?action=counterfoil_callback&x=1`,
      `${wordpress}?x=1&action=counterfoil_callback`,
      `${wordpress}?action=counterfoil_callback#`, `${wordpress}?action=counterfoil%5fcallback`,
      `${wordpress}?Action=counterfoil_callback`,
      `${wordpress}/?action=counterfoil_callback`, `${site}/blog/wp-admin/admin-post.php?action=counterfoil_callback`,
    ]) refused(
      await installation({ siteUrl: site, redirectUri }, 'wordpress'), 400, 'invalid_native_installation', redirectUri,
    );
  });

  it('a platform that is none of ours', async () => {
    for (const platform of [
      'shopify', 'Medusa', 'medusa ', 'medusa\u0000', '../medusa', '__proto__', 'constructor', 'x'.repeat(10_000),
    ]) {
      refused(await installation({ platform }), 400, 'invalid_native_installation', platform.slice(0, 20));
    }
  });

  it('a registrationId of another shape', async () => {
    for (const registrationId of [
      'short', random(31), random(33), `${random().slice(0, 42)}=`, `${random().slice(0, 42)}+`,
      `${random().slice(0, 42)} `, `${random().slice(0, 42)}\u00e9`, 'x'.repeat(10_000),
    ]) {
      refused(await installation({ registrationId }), 400, 'invalid_native_installation', registrationId.slice(0, 50));
    }
  });

  it('the thumbprint of another key', async () => {
    const shop = new Store(here.server, 'medusa');
    for (const dpopJkt of [new Key().jkt, shop.key.jkt.slice(0, 42), `${shop.key.jkt}=`, 'x']) {
      refused(await shop.register({ dpopJkt }), 400, 'invalid_native_installation', dpopJkt);
    }
  });

  it('versions that nobody has', async () => {
    for (const pluginVersion of ['x'.repeat(1_000), '1.0\n', '1.0\u0000', '1.0\u202e0', '<script>\u0007']) {
      refused(
        await installation({ pluginVersion }), 400, 'invalid_native_installation',
        JSON.stringify(pluginVersion).slice(0, 20),
      );
      refused(await installation({ medusaVersion: pluginVersion }), 400, 'invalid_native_installation');
    }
  });

  it('empty members count as missing, others of the wrong type are refused', async () => {
    for (const field of [
      'platform', 'registrationId', 'siteUrl', 'redirectUri', 'dpopJkt', 'pluginVersion', 'medusaVersion',
    ]) {
      refused(await installation({ [field]: '' }), 400, `missing_${field}`, field);
      refused(await installation({ [field]: null }), 400, `missing_${field}`, field);
      for (const value of [7, true, [], ['x'], {}]) {
        refused(
          await installation({ [field]: value }), 400, ['invalid_native_installation', `missing_${field}`],
          `${field} ${JSON.stringify(value)}`,
        );
      }
    }
  });

  it('more than is asked for is ignored, never believed', async () => {
    const shop = new Store(here.server, 'medusa');
    const body = ok(
      await shop.register({
        client_id: 'mco_app_mine', scopes: ['company:write'], scope: 'admin', siteName: '<script>', status: 'approved',
        dpop_bound: false,
      }),
      201,
    );
    assert.notEqual(body.client_id, 'mco_app_mine');
    assert.deepEqual([...body.scopes].sort(), [...PLATFORMS.medusa.scopes].sort());
    assert.equal(body.dpop_bound, true);
  });
});

describe('the request itself', () => {
  const post = (body, headers) => {
    const shop = new Store(here.server, 'medusa');
    const text = typeof body === 'function' ? body(JSON.stringify(shop.registration()), shop) : body;
    const url = shop.at('/oauth/native/installations');
    return send(url, {
      body: text, headers: { 'content-type': 'application/json', dpop: shop.key.proof('POST', url), ...headers },
    });
  };

  it('is JSON, said to be JSON', async () => {
    for (const type of [
      'application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x', 'application/jsonp',
      'application/json-patch+json', '', 'application/json; charset=latin1', 'application/json; charset=iso-8859-1',
      'application/json; charset=utf-16', 'application/json; charset=utf-8; charset=latin1', 'application/json; x=y',
    ]) {
      const answer = await post((text) => text, { 'content-type': type });
      assert.ok([400, 415].includes(answer.status), `${type}: ${answer.status}`);
      assert.match(answer.json.error, /^[a-z_]+$/);
    }
    assert.equal((await post((text) => text, { 'content-type': 'application/json; charset=utf-8' })).status, 201);
    assert.equal((await post((text) => text, { 'content-type': 'Application/JSON' })).status, 201);
  });

  const BODIES = {
    empty: '', 'a list': (text) => `[${text}]`, null: 'null', 'a number': '1',
    'half of it': (text) => text.slice(0, -1), 'more after it': (text) => `${text}x`,
    'a byte order mark': (text) => `\ufeff${text}`, 'UTF-16': (text) => Buffer.from(text, 'utf16le'),
    'doubled member': (text) => text.replace('{', '{"platform":"wordpress",'),
    'doubled by an escape': (text) => text.replace(
      '{', '{"\\u0070latform":"wordpress",',
    ), 'a lone surrogate': (text) => text.replace('{', '{"x":"\\ud800",'),
    'invalid UTF-8': (text) => Buffer.concat([
      Buffer.from(text.slice(0, -1)), Buffer.from(',"x":"'), Buffer.from([0xff]), Buffer.from('"}'),
    ]),
    deep: (text) => text.replace(
      '{', `{"x":${'['.repeat(3_000)}${']'.repeat(3_000)},`,
    ), 'a number beyond all': (text) => text.replace('{', '{"x":1e400,'),
    'single quotes': (text) => text.replaceAll('"', "'"), 'a comma at the end': (text) => text.replace(/}$/, ',}'),
    'a comment': (text) => `/**/${text}`,
  };

  it('is one JSON object, and strictly', async () => {
    for (const [name, body] of Object.entries(BODIES)) {
      const answer = await post(body);
      assert.equal(answer.status, 400, `${name}: ${answer.text}`);
      assert.match(answer.json.error, /^[a-z_]+$/, name);
    }
  });

  it('is proved, or nothing is stored', async () => {
    const shop = new Store(here.server, 'medusa');
    for (const [name, proof] of Object.entries({
      missing: null, empty: '', 'a word': 'proof', "another's": new Key().proof('POST', shop.at('/oauth/native/installations')),
      'for another endpoint': shop.key.proof('POST', shop.at('/oauth/token')),
    })) {
      const answer = await shop.register({ proof });
      refused(answer, 400, ['invalid_dpop_proof', 'invalid_native_installation'], name);
      if (proof === null) assert.match(answer.headers['www-authenticate'], /^DPoP .*algs="ES256"/);
    }
    // Still nobody's: it is registered as new, by whom it likes.
    ok(await shop.register({ key: new Key() }), 201);
  });

  it('is not large', async () => {
    for (const body of [
      (text) => text.replace('{', `{"x":"${'x'.repeat(1_000_000)}",`),
      (text) => text.replace('{', `{${Array.from({ length: 100_000 }, (_, at) => `"m${at}":1,`).join('')}`),
    ]) {
      const answer = await post(body);
      assert.ok([400, 413].includes(answer.status), `${answer.status}`);
    }
  });

  it('comes by POST or DELETE alone', async () => {
    for (const method of ['GET', 'PUT', 'PATCH', 'HEAD']) {
      const answer = await send(`${here.server.issuer}/oauth/native/installations`, { method });
      assert.equal(answer.status, 405, method);
      assert.deepEqual(
        answer.headers.allow.split(/\s*,\s*/).filter((one) => one !== 'OPTIONS').sort(), ['DELETE', 'POST'],
      );
    }
  });

  it('opens nothing to other origins', async () => {
    const answer = await post((text) => text, { origin: 'https://evil.example' });
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
    assert.equal(answer.headers['set-cookie'], undefined);
  });
});

describe('what a stranger may learn', () => {
  it('of stores that are known by a secret of theirs: nothing', async () => {
    for (const platform of ['medusa', 'wordpress']) {
      const shop = new Store(here.server, platform);
      await shop.connect(here.browser);
      const answers = [shop.site, 'https://nobody-has-this.example'].map(async (site) => {
        const stranger = new Store(here.server, platform, { site });
        return ok(await stranger.register(), 201);
      });
      const [known, unknown] = await Promise.all(answers);
      const told = ({ client_id: id, registration_id: registration, redirect_uri: callback, ...rest }) => rest;
      assert.deepEqual(told(known), told(unknown));
      assert.notEqual(known.client_id, shop.clientId);
      await shop.stillWorks();
    }
  });

  it('of stores that are known by their address: that one is registered there, and no more', async () => {
    const [registered, connected] = ['btcpay-server', 'btcpay-server'].map((platform) => new Store(here.server, platform));
    await registered.enrol();
    await connected.connect(here.browser);
    const texts = new Set();
    for (const { site } of [registered, connected]) {
      const stranger = new Store(here.server, 'btcpay-server', { site });
      const answer = await stranger.register();
      refused(answer, 401, 'previous_dpop_required');
      texts.add(answer.text);
    }
    assert.equal(texts.size, 1, 'whether it is connected is not told');
    for (const id of [registered.clientId, connected.clientId]) assert.ok(![...texts][0].includes(id));
    ok(await new Store(here.server, 'btcpay-server').register(), 201);
    await registered.connect(here.browser);
    await connected.stillWorks();
  });
});

describe('two at once', () => {
  it('first registrations of one id with two keys: one wins', async () => {
    const shop = new Store(here.server, 'medusa');
    const keys = Array.from({ length: 8 }, () => new Key());
    const answers = await Promise.all(keys.map((key) => shop.register({ key })));
    assert.equal(answers.filter(({ status }) => status === 201).length, 1);
    for (const answer of answers.filter(({ status }) => status !== 201)) refused(answer, 401, 'previous_dpop_required');
    shop.key = keys[answers.findIndex(({ status }) => status === 201)];
    shop.clientId = ok(await shop.register()).client_id;
    await shop.connect(here.browser);
    await shop.stillWorks();
  });

  it('DPoP-Previous in every wrong form stages nothing', async () => {
    const shop = new Store(here.server, 'medusa');
    await shop.connect(here.browser);
    const url = shop.at('/oauth/native/installations');
    const next = new Key();
    const used = shop.key.proof('POST', url);
    ok(await shop.register({ proof: used }));
    const wrong = {
      'a word': 'proof', empty: '', 'another method': shop.key.proof('DELETE', url), 'another URL': shop.key.proof(
        'POST', shop.at('/oauth/token'),
      ),
      stale: shop.key.proof('POST', url, { claims: { iat: 1 } }), 'with d': shop.key.proof(
        'POST', url, { header: { jwk: shop.key.privateJwk } },
      ),
      'two of them': [shop.key.proof('POST', url), shop.key.proof('POST', url)],
    };
    for (const [name, proof] of Object.entries(wrong)) {
      const answer = await shop.register({ key: next, headers: { 'dpop-previous': proof } });
      refused(answer, [400, 401], ['invalid_previous_dpop_key', 'invalid_dpop_proof', 'previous_dpop_required'], name);
    }
    // Whoever was seen to have the old key, but does not hold it, is nobody: 401, as for another key.
    for (const [name, proof] of Object.entries({
      'used before': used, 'used before, with the other signature': malleateProof(used),
      "a stranger's": new Key().proof('POST', url), "the new key's": next.proof('POST', url),
    })) {
      const answer = await shop.register({ key: next, headers: { 'dpop-previous': proof } });
      refused(answer, 401, 'invalid_previous_dpop_key', name);
      challenged(answer, undefined, name);
    }
    const { url: authorize } = shop.request({ key: next });
    assert.equal((await send(authorize)).status, 400);
    await shop.stillWorks();
    ok(await shop.register({ key: next, previous: shop.key }));
    await shop.stillWorks();
  });
});
