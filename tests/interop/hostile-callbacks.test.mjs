// A callback is the registered one, byte for byte: at authorization nothing else is redirected to, at PAR and at the
// token endpoint nothing else is taken.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { readForms } from './lib/browser.mjs';
import { ok, refused, refusedInPlace, send } from './lib/http.mjs';
import { PATIENT, world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world({ settings: PATIENT }, prepare);
let confidential;
let native;
let shop;

async function prepare() {
  confidential = await App.register(here.server, { redirectUris: [
    'https://app.example/cb', 'https://app.example/q?a=b',
  ] });
  native = await App.register(here.server, {
    name: 'Desk', redirectUris: ['http://127.0.0.1/cb', 'com.example.desk:/cb'], flags: ['--public'],
  });
  shop = new Store(here.server, 'medusa');
  await shop.enrol();
}

const at = (app, redirectUri) => app.request({ redirect_uri: redirectUri }).url;
const authorize = (app, redirectUri) => send(at(app, redirectUri));
const push = (app, redirectUri) => app.push(app.request({ redirect_uri: redirectUri }).parameters);

const VARIANTS = {
  web: [
    'https://app.example/cb/', 'https://app.example/cb?', 'https://app.example/cb#', 'https://app.example/cb#x',
    'https://app.example/cb?next=https://evil.example',
    'HTTPS://app.example/cb', 'https://APP.example/cb', 'https://app.example/CB', 'https://app.example:443/cb',
    'https://app.example:8443/cb', 'https://app.example:/cb',
    'http://app.example/cb', 'javascript:alert(1)', 'javascript://app.example/cb', 'data:text/html,x', 'file://test',
    '//app.example/cb', '/cb', 'cb', 'app.example/cb', '',
    'https://app.example@evil.example/cb', 'https://evil.example\\@app.example/cb',
    'https://app.example%40evil.example/cb', 'https://user:pw@app.example/cb', 'https://@app.example/cb',
    'https://app.example.evil.example/cb', 'https://app.example%2eevil.example/cb', 'https://evilapp.example/cb',
    'https://app.example./cb', 'https://app-example/cb',
    'https://app.example/%63b', 'https://app.example/cb%00', 'https://app.example/cb%20',
    'https://app.example/cb%0d%0aX:y', 'https://app.example/c\tb', 'https://app.example/cb\r\nX: y',
    'https://app.example/./cb', 'https://app.example/x/../cb', 'https://app.example//cb', 'https://app.example/cb;x',
    'https://app.example/cb/..', 'https://app.example\\cb', 'https:app.example/cb',
    'https:/app.example/cb', 'https:///app.example/cb', ' https://app.example/cb', 'https://app.example/cb ',
    'https://app.example/cb\u0000', 'https://app\u3002example/cb', 'https://аpp.example/cb',
    'https://xn--pp-6tc.example/cb', 'https://app.example/q?a=b&c=d', 'https://app.example/q?a=bx',
    'https://app.example/q?c=d&a=b', 'https://app.example/q', 'https://app.example/q?a=b#',
    'https://app.example/*', 'https://*.example/cb', `https://app.example/cb?${'x'.repeat(4_000)}`,
    'https://app.example/cb https://evil.example', 'https://app.example/cb,https://evil.example',
  ],
  loopback: [
    'http://127.0.0.1:51004/cb2', 'http://127.0.0.1:51004/cb?x', 'http://127.0.0.1:51004/CB',
    'http://127.0.0.1:51004/cb/', 'http://127.0.0.1:51004@evil.example/cb', 'http://127.0.0.1:99999/cb',
    'http://127.0.0.1:/cb', 'http://127.0.0.1:0/cb', 'http://127.0.0.1:080/cb', 'http://127.0.0.1:+80/cb',
    'http://127.0.0.1.evil.example/cb', 'http://127.0.0.2:51004/cb', 'http://127.1/cb',
    'http://2130706433/cb', 'http://0x7f.0.0.1/cb', 'http://0.0.0.0:51004/cb', 'http://localhost:51004/cb',
    'http://[::1]:51004/cb', 'https://127.0.0.1:51004/cb', 'http://127.0.0.1:51004\\@evil.example/cb',
    'http://evil.example:51004/cb', 'com.example.desk://cb', 'COM.example.desk:/cb', 'com.example.desk:/cb/',
    'com.example.desk:cb', 'com.example.desk:/cb?x', 'com.example.desk2:/cb', 'com.example:/cb',
  ],
};

describe('an application on the web', () => {
  it('is sent to no variant of its callback', async () => {
    for (const uri of VARIANTS.web) refusedInPlace(await authorize(confidential, uri), uri);
  });

  it('may push none', async () => {
    for (const uri of VARIANTS.web) refused(await push(confidential, uri), 400, 'invalid_request', uri);
  });

  it('must name one', async () => {
    refusedInPlace(await authorize(confidential, undefined));
  });

  it('gets the query of its callback back', async () => {
    const uri = 'https://app.example/q?a=b';
    const { callback, iss } = await here.browser.approve(at(confidential, uri));
    assert.ok(callback.startsWith(`${uri}&`), callback);
    assert.equal(iss, here.server.issuer);
  });

  it('has its callbacks vetted when it is registered', async () => {
    for (const uri of [
      'https://app.example/*', 'https://*.example/cb', 'http://app.example/cb', 'javascript:alert(1)',
      'data:text/html,x', 'vbscript:x', 'file:///x', 'blob:x', 'about:blank', 'intent://x',
      'myapp:/cb', 'com.example.app://cb', 'https://app.example/cb#x', 'https://user@app.example/cb',
      'https://app.example/a/../cb', '/cb', 'https://app.example/c b',
    ]) {
      await assert.rejects(
        App.register(here.server, { name: 'Odd', redirectUris: [uri] }), undefined, uri,
      );
    }
  });
});

describe('a native application', () => {
  it('may choose its loopback port, and nothing else', async () => {
    for (const uri of [
      'http://127.0.0.1/cb', 'http://127.0.0.1:51004/cb', 'http://127.0.0.1:1/cb', 'com.example.desk:/cb',
    ]) {
      ok(await push(native, uri), 201, uri);
      const { callback } = await here.browser.approve(at(native, uri));
      assert.ok(callback.startsWith(`${uri}?`), callback);
    }
    for (const uri of VARIANTS.loopback) {
      refusedInPlace(await authorize(native, uri), uri);
      refused(await push(native, uri), 400, 'invalid_request', uri);
    }
  });
});

describe('a store', () => {
  it('is sent to no variant of its callback, before and after approval', async () => {
    const variants = (uri) => [
      `${uri}/`, `${uri}?`, `${uri}#`, `${uri}?x=1`, uri.toUpperCase(), uri.replace('callback', '%63allback'),
      uri.replace('/makepay', '//makepay'), uri.replace('/makepay', '/./makepay'),
      uri.replace('.example', '.example.'), uri.replace('.example', '.example:443'), uri.replace(
        '.example', '.example.evil.example',
      ), uri.replace('https://', 'https://evil.example@'), uri.replace('https', 'http'),
      `${uri}%00`, `${uri} `, uri.slice(0, -1), new URL(uri).pathname, 'https://evil.example/makepay/oauth/callback',
      'http://127.0.0.1/makepay/oauth/callback',
    ];
    for (const state of ['before', 'after']) {
      for (const uri of variants(shop.redirectUri)) refusedInPlace(
        await send(shop.request({ redirect_uri: uri }).url), `${state}: ${uri}`,
      );
      if (state === 'before') await shop.connect(here.browser);
    }
    const grant = await shop.authorize(here.browser);
    for (const uri of [...variants(shop.redirectUri), '']) {
      refused(await shop.redeem({ ...grant, redirect_uri: uri }), 400, ['invalid_grant', 'invalid_request'], uri);
    }
    await shop.accept(await shop.redeem(grant));
    await shop.stillWorks();
  });
});

describe('a callback that is registered no more', () => {
  /** Saves the application's page with these callbacks instead. */
  async function move(app, ...redirectUris) {
    const { companies } = await here.server.operator(['company', 'list']);
    const path = `${here.server.issuer}/companies/${companies[0].company_id}/applications/${app.id}/change`;
    const page = await here.browser.visit(path);
    const form = readForms(page.answer.text).find(({ fields }) => fields.some(({ name }) => name === 'version'));
    const fields = form.fields.filter(({ name, type, checked }) => name && type !== 'submit' && (type !== 'checkbox' || checked));
    const pairs = fields.map(({ name, value }) => [name, value ?? '']);
    const saved = await here.browser.load(path, { method: 'POST', form: [...pairs, ['redirect_uris', redirectUris.join('\n')]] });
    assert.equal(saved.status, 303, saved.text);
  }

  it('gets no answer, whatever was begun; a code that was given stays bound to it', async () => {
    const [old, next] = ['https://moves.example/old', 'https://moves.example/new'];
    const app = await App.register(here.server, { name: 'Moves', redirectUris: [old] });
    const given = await app.authorize(here.browser);
    const wrong = await app.authorize(here.browser);
    const { request_uri: uri } = ok(await app.push(app.request().parameters), 201);
    const [approving, denying] = [
      await here.browser.reachConsent(app.request().url), await here.browser.reachConsent(app.request().url),
    ];
    await move(app, next);
    for (const [page, decision] of [[approving, 'approve'], [denying, 'deny']]) {
      const { left, answer } = await here.browser.submit(page, page.form, decision);
      assert.equal(left, undefined, decision);
      refusedInPlace(answer, decision);
    }
    refusedInPlace(await here.browser.load(app.url({ client_id: app.id, request_uri: uri })), 'pushed before');
    refusedInPlace(await here.browser.load(app.request().url), 'asked for again');
    refused(await app.token({ ...wrong, redirect_uri: next }), 400, 'invalid_grant');
    assert.equal(ok(await app.token(given)).token_type, 'Bearer');
    app.redirectUri = next;
    ok(await app.token(await app.authorize(here.browser)));
  });
});
