// Sign-in and consent against other sites, other people and second tabs.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { readForms } from './lib/browser.mjs';
import { random } from './lib/dpop.mjs';
import { refused, send } from './lib/http.mjs';
import { Browser, world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world({ companies: ['Nordwind Trading', 'Sudwind Trading'] }, prepare);
let app;
let rival;

async function prepare() {
  app = await App.register(here.server, { name: 'Ledger <b>' });
  await here.server.company('Rival & Sons');
  rival = await here.server.person('rival@shop.example', 'Rival & Sons');
}

const authorize = () => app.request().url;

/** What a browser would post: hidden fields, the first company, the decision. */
function pairsOf({ fields }, decision = 'approve') {
  const [company] = fields.filter(({ type }) => type === 'radio');
  const hidden = fields.filter(({ name, type }) => name && type === 'hidden');
  return [
    ...hidden, ...(company ? [company] : []),
  ].map(({ name, value = '' }) => [name, value]).concat([['decision', decision]]);
}

const target = (page) => new URL(page.form.action || page.url, page.url).href;
const post = (browser, page, form, options) => browser.load(target(page), { method: 'POST', form, ...options });

function denied(answer, note) {
  assert.ok(answer.status >= 400 && answer.status < 500, `${note}: ${answer.status} ${answer.location}`);
  assert.equal(answer.location, undefined, note);
}

describe('consent', () => {
  it('names the integration, the store, the company and every scope', async () => {
    const shop = new Store(here.server, 'wordpress');
    await shop.enrol();
    const page = await here.browser.reachConsent(shop.request().url);
    const text = page.answer.text.replace(/<[^>]+>/g, ' ');
    for (const shown of [
      new URL(shop.site).host, 'WordPress', 'Nordwind Trading',
    ]) assert.ok(text.includes(shown), shown);
    assert.doesNotMatch(page.answer.text, /<script/i);
    const again = await here.browser.reachConsent(shop.request().url);
    assert.ok(again.form, 'shown again');
    const other = await here.browser.reachConsent(authorize());
    assert.ok(!other.answer.text.includes('Ledger <b>'), 'names are escaped');
    assert.ok(
      other.answer.text.includes('Ledger &lt;b&gt;') || other.answer.text.includes('Ledger &#'), 'names are shown',
    );
  });

  it('may not be framed, kept or scripted', async () => {
    for (const page of [await new Browser().visit(authorize()), await here.browser.reachConsent(authorize())]) {
      const { headers } = page.answer;
      assert.match(headers['content-security-policy'], /frame-ancestors 'none'/);
      assert.match(headers['content-security-policy'], /default-src 'none'|default-src 'self'/);
      assert.match(headers['cache-control'], /no-store/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.match(headers['referrer-policy'], /no-referrer|same-origin|origin/);
    }
  });

  it('allows the browser to follow to the callback', async () => {
    const page = await here.browser.reachConsent(authorize());
    const [, formAction] = /form-action ([^;]+)/.exec(page.answer.headers['content-security-policy']) ?? [undefined, '*'];
    assert.ok(formAction === '*' || formAction.includes('https://app.example'), formAction);
  });

  it('without the right token changes nothing', async () => {
    const page = await here.browser.reachConsent(authorize());
    const good = pairsOf(page.form);
    const mallory = new Browser(rival);
    const theirs = await mallory.reachConsent(authorize());
    const hidden = page.form.fields.filter(({ type }) => type === 'hidden').map(({ name }) => name);
    assert.ok(hidden.length > 0, 'there is a hidden token');
    const replaced = (from) => good.map(([name, value]) => [
      name, from.find(([other]) => other === name && hidden.includes(name))?.[1] ?? value,
    ]);
    denied(await post(here.browser, page, good.filter(([name]) => !hidden.includes(name))), 'no token');
    denied(
      await post(here.browser, page, good.map(([name, value]) => [name, hidden.includes(name) ? random() : value])),
      'a made-up token',
    );
    denied(await post(here.browser, page, replaced(pairsOf(theirs.form))), "another session's token");
    denied(await post(mallory, page, good), "another session's cookie");
    denied(await post(new Browser(), page, good), 'no cookie');
    denied(
      await send(target(page), {
        body: new URLSearchParams(good).toString(),
        headers: { cookie: here.browser.cookies, 'content-type': 'text/plain' },
      }),
      'text/plain',
    );
    denied(
      await post(here.browser, page, good, { headers: {
        origin: 'https://evil.example', 'sec-fetch-site': 'cross-site',
      } }),
      'from another site',
    );
    const last = await here.browser.reachConsent(authorize());
    assert.ok((await here.browser.submit(last, last.form, 'approve')).left.includes('code='));
  });

  it('is given once, whatever is pressed', async () => {
    const page = await here.browser.reachConsent(authorize());
    const answers = await Promise.all([1, 2, 3].map(() => post(here.browser, page, pairsOf(page.form))));
    assert.equal(answers.filter(({ location }) => location?.includes('code=')).length, 1);
    const late = await post(here.browser, page, pairsOf(page.form));
    assert.ok(!late.location?.includes('code='));
  });

  it('is for a company of one\'s own', async () => {
    const mallory = new Browser(rival);
    const page = await here.browser.reachConsent(authorize());
    const theirs = await mallory.reachConsent(authorize());
    const companies = page.form.fields.filter(({ name }) => name === 'company').map(({ value }) => value);
    assert.ok(companies.length >= 2, 'a choice of two');
    for (const value of [...companies, 'unknown', '', "' or 1=1"]) {
      const form = pairsOf(theirs.form).filter(([name]) => name !== 'company');
      denied(await post(mallory, theirs, [...form, ['company', value]]), `company ${value}`);
    }
  });

  it('answers by 303 or 302, never in a way that sends the form on', async () => {
    const page = await here.browser.reachConsent(authorize());
    const answer = await post(here.browser, page, pairsOf(page.form));
    assert.ok([302, 303].includes(answer.status), `${answer.status}`);
    assert.equal(answer.headers['referrer-policy'], page.answer.headers['referrer-policy']);
  });
});

describe('sign-in', () => {
  it('starts a new session and sets careful cookies', async () => {
    const fresh = new Browser(here.merchant);
    const page = await fresh.visit(authorize());
    const before = fresh.cookies;
    const form = readForms(page.answer.text).find(({ fields }) => fields.some(({ name }) => name === 'password'));
    const pairs = form.fields.filter(({ name }) => name).map(({ name, value = '' }) => [
      name, here.merchant[name] ?? value,
    ]);
    const answer = await fresh.load(new URL(form.action || page.url, page.url).href, { method: 'POST', form: pairs });
    assert.ok([302, 303].includes(answer.status), `${answer.status} ${answer.text.slice(0, 200)}`);
    assert.notEqual(fresh.cookies, before);
    for (const cookie of answer.headers['set-cookie']) {
      assert.match(cookie, /;\s*HttpOnly/i);
      assert.match(cookie, /;\s*SameSite=(Lax|Strict)/i);
      assert.match(cookie, /;\s*Path=\//i);
      assert.doesNotMatch(cookie, /;\s*Domain=/i);
    }
  });

  it('tells nobody who has an account, and slows guessing', async () => {
    const attempt = async (email, password) => {
      const guest = new Browser({ email, password });
      const page = await guest.visit(authorize());
      const form = readForms(page.answer.text).find(({ fields }) => fields.some(({ name }) => name === 'password'));
      const { answer } = await guest.submit({ ...page, form }, form);
      return answer;
    };
    const plain = ({ text }, email) => text.replaceAll(email, '').replace(/value="[^"]*"/g, '');
    const known = await attempt(rival.email, 'wrong password');
    const unknown = await attempt('nobody@shop.example', 'wrong password');
    assert.equal(known.status, unknown.status);
    assert.equal(plain(known, rival.email), plain(unknown, 'nobody@shop.example'));
    // Those that are under way together count as well.
    await Promise.all(Array.from({ length: 20 }, (_, time) => attempt(rival.email, `guess ${time}`)));
    assert.equal((await attempt(rival.email, 'one more')).status, 429);
  });

  it('goes nowhere else afterwards', async () => {
    for (const name of ['next', 'return_to', 'redirect', 'continue', 'url']) {
      const page = await new Browser(here.merchant).visit(`${here.server.issuer}/sign-in?${name}=https://evil.example/`);
      assert.equal(page.left, undefined, name);
      const form = page.answer.status === 200 && readForms(page.answer.text)[0];
      if (!form) continue;
      const browser = new Browser(here.merchant);
      const own = await browser.visit(page.url);
      const done = await browser.submit(own, readForms(own.answer.text)[0]);
      assert.ok(!done.left?.includes('evil'), done.left);
    }
  });

  it('is asked again when the cookie is gone or made up', async () => {
    for (const cookies of ['', 'session=x', `__Host-session=${random()}`]) {
      const page = await send(authorize(), { headers: cookies ? { cookie: cookies } : {} });
      assert.doesNotMatch(page.text, /name="decision"/);
    }
    refused(
      await send(`${here.server.issuer}/oauth/token`, { form: {}, headers: { cookie: here.browser.cookies } }),
      [400, 401], ['invalid_request', 'invalid_client'],
    );
  });
});
