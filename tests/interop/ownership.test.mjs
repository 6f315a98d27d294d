// Whose store it is: a real server asks a tiny shop at its own address, which answers through a real daemon, or badly.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

import { Client } from '../../plugin-bridge/node/src/index.mjs';
import { everywhere } from './lib/chromium.mjs';
import { ok } from './lib/http.mjs';
import { UNTHROTTLED, world } from './lib/kit.mjs';
import { PLATFORMS } from './lib/native.mjs';
import { Daemon, freePort, until } from './lib/processes.mjs';

const PATH = '/wp-json/counterfoil/v1/challenge';
const SENTENCES = {
  foreign: 'what answered there is not the store',
  nothing: 'nothing there knew the question',
  redirected: 'it sent us on to another one',
  slow: 'no answer came in time',
  long: 'what came back was not an answer',
  unreachable: 'We could not reach this address',
};

/** A shop on this machine, its daemon, and what its address answers. */
class Shop {
  asked = [];

  static async open(server, answer, path = PATH, port = 0) {
    const shop = Object.assign(new Shop(), { answer, path, server });
    shop.http = createServer((request, response) => shop.#answer(new URL(request.url, shop.site), response));
    await new Promise((resolve) => { shop.http.listen(port, '127.0.0.1', resolve); });
    shop.site = `http://127.0.0.1:${shop.http.address().port}`;
    shop.daemon = await Daemon.start({
      platform: 'wordpress', site_url: shop.site, redirect_uri: PLATFORMS.wordpress.callback(shop.site), plugin_version: '1.0.1',
      issuer: server.issuer,
    });
    shop.client = new Client({ plugin: 'shop/1.0', socket: shop.daemon.socket });
    return shop;
  }

  async #answer(url, response) {
    this.asked.push(`${url.pathname}${url.searchParams.has('rest_route') ? `?${url.searchParams.get('rest_route')}` : ''}`);
    try {
      if (!this.asked.at(-1).endsWith(this.path)) return response.writeHead(404).end();
      return await this.answer(response, url.searchParams.get('nonce'), url.searchParams.get('client_id'), this);
    } catch {
      return response.writeHead(404).end();
    }
  }

  async begin() {
    return ok(await this.daemon.local('POST', '/v1/connect', { json: {} })).authorization_url;
  }

  /** The same, once the server has asked the store's address, however long that took: a page waits for it a moment only. */
  async judged() {
    const url = await this.begin();
    await until('its address was asked', async () => await this.verdict() !== undefined);
    return url;
  }

  /** What came of asking, as the operator is told. */
  async verdict() {
    const { client_id: id } = await this.daemon.status();
    return (await this.server.operator(['installation', 'show', id])).address?.verdict;
  }

  finish(callback) {
    return this.daemon.local('POST', '/v1/callback', { json: { query: callback.slice(callback.indexOf('?') + 1) } });
  }

  async close() {
    this.http.closeAllConnections();
    this.http.close();
    await this.daemon.stop();
  }
}

const say = (response, body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const honest = async (response, nonce, id, shop) => say(response, await shop.client.ownership(nonce, id));

/** A profile of the operator's under which nobody can approve a store that is not verified. */
function required() {
  const directory = mkdtempSync(join(tmpdir(), 'counterfoil-profiles-'));
  const text = readFileSync(new URL('../../server/profiles/wordpress.toml', import.meta.url), 'utf8');
  assert.match(text, /^ownership = "optional"$/m);
  mkdirSync(join(directory, 'profiles'));
  writeFileSync(join(directory, 'profiles', 'wordpress.toml'), text.replace('ownership = "optional"', 'ownership = "required"'));
  return `profiles_dir = ${JSON.stringify(join(directory, 'profiles'))}\n${UNTHROTTLED}`;
}

describe('a store that may be approved unverified', () => {
  const shops = [];
  const here = world({ settings: UNTHROTTLED });
  const open = async (...options) => {
    const shop = await Shop.open(here.server, ...options);
    shops.push(shop);
    return shop;
  };
  after(async () => { for (const shop of shops) await shop.close(); });

  const consent = async (shop, url = shop.judged()) => {
    const page = await here.browser.reachConsent(await url);
    assert.ok(page.form, page.answer.text);
    return page.answer.text.replaceAll('&#39;', "'");
  };

  it('is verified by its own answer, asked once for all pages, and said so where it is connected', async () => {
    const shop = await open(honest);
    const host = new URL(shop.site).host;
    const url = await shop.judged();
    for (const page of [await here.browser.reachConsent(url), await here.browser.reachConsent(url)]) {
      assert.ok(page.answer.text.includes(`Verified: ${host}.`), page.answer.text);
    }
    ok(await shop.finish((await here.browser.approve(url)).callback));
    assert.deepEqual(shop.asked, [PATH]);
    assert.equal(await shop.verdict(), 'verified');
    const { client_id: id } = await shop.daemon.status();
    const company = /\/companies\/[^/"]+/.exec((await here.browser.visit(`${here.server.issuer}/`)).answer.text)[0];
    const page = await here.browser.visit(`${here.server.issuer}${company}/connected-apps/${id}`);
    assert.match(page.answer.text, /<strong class="good">Verified<\/strong> on/);
    // Known for a month: connecting again asks nobody.
    assert.ok((await consent(shop)).includes(`Verified: ${host}.`));
    assert.deepEqual(shop.asked, [PATH]);
  });

  it('looks verified, in a real browser', async () => {
    const shop = await open(honest);
    await everywhere(async (person) => {
      await person.goTo(await shop.judged());
      await person.signIn(here.merchant);
      assert.match(await person.text(), /Verified: 127\.0\.0\.1/);
      await person.lookAt('consent-verified');
    });
  });

  it('is verified where WordPress has no pretty links', async () => {
    const shop = await open(honest, '/?/counterfoil/v1/challenge');
    assert.ok((await consent(shop)).includes('Verified: 127.0.0.1'));
    assert.deepEqual(shop.asked, [PATH, '/?/counterfoil/v1/challenge']);
  });

  let other;
  let recorded;
  const otherClient = async () => {
    other ??= await open(honest);
    await other.begin();
    return (await other.daemon.status()).client_id;
  };
  const cases = [
    ['another shop answers for itself', 'foreign', async (response, nonce) => {
      say(response, await other.client.ownership(nonce, await otherClient()));
    }],
    ['its own daemon signs for another question', 'foreign', async (response, nonce, id, shop) => {
      say(response, await shop.client.ownership(Buffer.alloc(32, 7).toString('base64url'), id));
    }],
    ['it answers what is no proof', 'foreign', (response) => say(response, { proof: 'a.b.c' })],
    ['it passes the question on to a shop that does not sign it', 'nothing', async (response, nonce, id) => {
      say(response, await other.client.ownership(nonce, id));
    }],
    ['it redirects', 'redirected', (response) => response.writeHead(302, { location: `${other.site}${PATH}` }).end()],
    ['it answers a megabyte', 'long', (response) => response.writeHead(200).end(Buffer.alloc(1 << 20, 'x'))],
    ['it knows nothing', 'nothing', (response) => response.writeHead(404).end()],
    ['it is a page', 'nothing', (response) => response.writeHead(200).end('<html>')],
  ];
  for (const [what, sentence, answer] of cases) {
    it(`is not verified, and can be approved, when ${what}`, async () => {
      await otherClient();
      const shop = await open(answer, /redirects|knows/.test(what) ? '' : PATH);
      const page = await consent(shop);
      assert.ok(page.includes('Not verified: 127.0.0.1') && page.includes(SENTENCES[sentence]), page);
      assert.match(page, /value="approve"/);
    });
  }

  it('is not verified, and can be approved, when it hangs, which nobody waits for to its end', async () => {
    let question;
    const shop = await open((response) => { question = response; });
    const url = await shop.begin();
    await until('it is asked', () => question);
    const page = await consent(shop, url);
    assert.equal(question.destroyed, false, 'it is waited for still, without the person');
    assert.ok(page.includes('Not verified: 127.0.0.1') && page.includes(SENTENCES.slow), page);
    assert.match(page, /value="approve"/);
  });

  it('is not verified by an answer that was good before', async () => {
    const shop = await open(async (response, nonce, id, self) => {
      recorded ??= await self.client.ownership(nonce, id);
      say(response, recorded);
    });
    assert.ok((await consent(shop)).includes('Verified: 127.0.0.1'));
    // The other key is asked anew, and the recorded answer is by the former one.
    const copy = await open((response) => say(response, recorded));
    assert.ok((await consent(copy)).includes(SENTENCES.foreign));
    assert.equal(await copy.verdict(), 'foreign_answer');
  });

  it('is not verified when nobody is there', async () => {
    const shop = await open(honest, PATH, await freePort());
    await new Promise((resolve) => { shop.http.close(resolve); shop.http.closeAllConnections(); });
    assert.ok((await consent(shop)).includes(SENTENCES.unreachable));
    assert.equal(await shop.verdict(), 'unreachable');
  });
});

describe('a store that must be verified', () => {
  const shops = [];
  const here = world({ settings: required() });
  after(async () => { for (const shop of shops) await shop.close(); });

  it('cannot be approved before, neither by the page nor past it', async () => {
    const shop = await Shop.open(here.server, (response) => response.writeHead(404).end());
    shops.push(shop);
    const page = await here.browser.reachConsent(await shop.begin());
    assert.ok(page.answer.text.includes('It cannot be connected before that.'), page.answer.text);
    assert.doesNotMatch(page.answer.text, /value="approve"/);
    const fields = page.form.fields.filter(({ type, name }) => type !== 'submit' && name).map(({ name, value }) => [name, value]);
    const form = [...fields, ['decision', 'approve']];
    const forced = await here.browser.load(`${here.server.issuer}/oauth/authorize/decision`, { method: 'POST', form });
    assert.equal(forced.status, 403);
    assert.match(forced.text, /store_not_verified/);
    // Denying it goes on as ever.
    assert.equal((await here.browser.deny(await shop.begin())).error, 'access_denied');
  });

  it('looks like one that cannot be approved, in a real browser', async () => {
    const shop = await Shop.open(here.server, (response) => response.writeHead(404).end());
    shops.push(shop);
    await everywhere(async (person) => {
      await person.goTo(await shop.begin());
      await person.signIn(here.merchant);
      assert.match(await person.text(), /It cannot be connected before that/);
      assert.equal(await person.page.getByRole('button', { name: 'Approve' }).count(), 0);
      await person.lookAt('consent-forbidden');
    });
  });

  it('is approved when it answers', async () => {
    const shop = await Shop.open(here.server, honest);
    shops.push(shop);
    ok(await shop.finish((await here.browser.approve(await shop.judged())).callback));
    assert.equal((await shop.daemon.status()).state, 'connected');
  });
});
