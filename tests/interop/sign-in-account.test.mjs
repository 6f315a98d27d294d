// An account and the providers that open it: linked, unlinked, asked once more before an approval.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { Browser } from './lib/browser.mjs';
import { LyingProvider } from './lib/openid-provider.mjs';
import { Server } from './lib/processes.mjs';
import { formTo, honest, throughProviders } from './lib/sign-in.mjs';
import { codeOf } from './lib/totp.mjs';

let company;
let liar;
let server;

const entry = (name, extra = '') => `
[[oidc]]
name = "${name}"
label = "The ${name}"
issuer = "${liar.issuer(name)}"
client_id = "pay"
${extra}`;

before(async () => {
  liar = await LyingProvider.start();
  server = await Server.start({
    settings: `${entry('first', 'create = true\nsecond_factor = ["mfa"]')}${entry('second')}`,
  });
  company = (await server.company('Nordwind Trading')).company_id;
});
after(async () => {
  await server.stop();
  await liar.stop();
});
beforeEach(() => { liar.lie = {}; });

const {
  at, follow, press, signIn,
} = throughProviders(() => server);
const now = () => Math.floor(Date.now() / 1000);
const account = (browser) => browser.load(at('/account'));

/** A person with a password, signed in with it. */
async function signedIn(name) {
  const person = await server.person(`${name}@shop.example`, 'Nordwind Trading');
  const browser = new Browser(person);
  const posted = await press(browser, formTo(await browser.load(at('/sign-in')), '/sign-in'), person);
  assert.equal(posted.status, 303);
  return { browser, person };
}

/** Posts the account page's form for this provider. */
const onAccount = async (browser, what, provider, fields) => (
  press(browser, formTo(await account(browser), `/account/providers/${what}`, provider), fields)
);

describe('an account and its providers', () => {
  it('is linked with the password, once, and with one subject of each', async () => {
    const { browser, person } = await signedIn('dora');
    liar.lie = { claims: { sub: 'dora-there' } };
    const refused = await onAccount(browser, 'link', 'first', { password: 'wrong' });
    assert.equal(refused.status, 403);
    assert.match(refused.text, /The present password is not right/);
    const linked = await onAccount(browser, 'link', 'first', { password: person.password });
    assert.deepEqual([linked.status, linked.location], [303, '/account?done=linked']);
    assert.equal((await signIn(new Browser(), 'first')).status, 303);

    const eli = await signedIn('eli');
    const taken = await onAccount(eli.browser, 'link', 'first', { password: eli.person.password });
    assert.equal(taken.status, 409);
    assert.match(taken.text, /linked with another account here/);
    const unlinked = await onAccount(browser, 'unlink', 'first');
    assert.equal(unlinked.location, '/account?done=unlinked');
    liar.lie = { claims: { sub: 'dora-there' } };
    assert.equal((await signIn(new Browser(), 'first')).status, 403, 'opens nothing any more');
    const records = await server.operator(['audit', 'list']);
    const events = records.records.map(({ event }) => event);
    for (const event of ['provider_linked', 'provider_unlinked', 'signed_in_through', 'provider_refused']) {
      assert.ok(events.includes(event), event);
    }
  });

  it('links nothing for somebody who signed out in between', async () => {
    const { browser, person } = await signedIn('fay');
    liar.lie = { claims: { sub: 'fay-there' } };
    const page = await account(browser);
    const { password } = person;
    const { link } = await follow(browser, formTo(page, '/account/providers/link', 'first'), { password });
    const url = (await new Browser().load(link)).location;
    await press(browser, formTo(page, '/sign-out'));
    assert.equal((await browser.load(url)).status, 403);
    assert.match((await signIn(new Browser(), 'first')).text, /did not confirm your e-mail address/, 'nobody is linked');
  });

  it('without a password is changed only by whom the provider has just asked', async () => {
    liar.lie = { claims: honest('gil') };
    const browser = new Browser();
    assert.equal((await signIn(browser, 'first')).status, 303);
    const lone = await onAccount(browser, 'unlink', 'first');
    assert.equal(lone.status, 409);
    assert.match(lone.text, /the only way in which you can sign in/);
    const codes = await browser.load(at('/account/codes'));
    assert.equal(formTo(codes, '/account/codes/begin'), undefined);
    const confirm = (claims) => {
      liar.lie = { claims: { ...honest('gil'), ...claims } };
      return press(browser, formTo(codes, '/account/providers/confirm'));
    };
    for (const [claims, words] of [
      [{}, /did not ask you again/],
      [{ auth_time: now() - 3600 }, /did not ask you again/],
      [{ auth_time: now() + 3600 }, /did not ask you again/],
      [{ ...honest('other'), auth_time: now() }, /signed in there as somebody else/],
    ]) {
      const answer = await confirm(claims);
      assert.equal(answer.status, 403, JSON.stringify(claims));
      assert.match(answer.text, words);
    }
    assert.equal(liar.last.prompt, 'login');
    assert.equal(liar.last.max_age, '0');
    assert.equal((await confirm({ auth_time: now() })).location, '/account/codes');
    const ready = await browser.load(at('/account/codes'));
    const begun = await press(browser, formTo(ready, '/account/codes/begin'));
    assert.equal(begun.status, 303);
    const shown = await browser.load(at('/account/codes'));
    const [, key] = /<code>([A-Z2-7 ]+)<\/code>/.exec(shown.text);
    const code = codeOf(key);
    const on = await press(browser, formTo(shown, '/account/codes/confirm'), { code });
    assert.match(on.text, /Codes are on/);

    // A code is asked for after the provider, too, unless it has seen a second factor itself.
    liar.lie = { claims: { ...honest('gil'), auth_time: now() } };
    const half = new Browser();
    assert.equal((await signIn(half, 'first', '/account')).location, '/sign-in/code?continue=%2Faccount');
    assert.doesNotMatch((await account(half)).text, /Your account/);
    const asked = await half.load(at('/sign-in/code?continue=%2Faccount'));
    assert.equal((await press(half, formTo(asked, '/sign-in/code'), { code })).status, 403, 'a code works once');
    const [recovery] = /[a-z2-7]{4}(-[a-z2-7]{4}){3}/.exec(on.text);
    assert.equal((await press(half, formTo(asked, '/sign-in/code'), { code: recovery })).location, '/account');
    assert.match((await account(half)).text, /through The first/);
    liar.lie = { claims: { ...honest('gil'), auth_time: now(), amr: ['mfa'] } };
    assert.equal((await signIn(new Browser(), 'first', '/account')).location, '/account');
  });

  it('approves where codes are demanded, when the provider asks for a second factor', async () => {
    const { browser, person } = await signedIn('hal');
    const people = await browser.load(at(`/companies/${company}/people`));
    const demanded = await press(browser, formTo(people, `/companies/${company}/people/codes`));
    assert.equal(demanded.status, 303);
    const app = await App.register(server);
    const request = app.request();
    const decide = async () => {
      const consent = await browser.load(request.url);
      return press(browser, formTo(consent, '/oauth/authorize/decision'), { decision: 'approve' });
    };
    assert.match((await decide()).text, /Turn one-time codes on first/);
    liar.lie = { claims: { sub: 'hal-there' } };
    assert.equal((await onAccount(browser, 'link', 'first', { password: person.password })).status, 303);
    const asked = await decide();
    assert.match(asked.text, /Sign in once more to approve/);
    const path = new URL(request.url);
    liar.lie = { claims: { sub: 'hal-there', auth_time: now(), amr: ['pwd'] } };
    const without = await press(browser, formTo(asked, '/account/providers/confirm'));
    assert.equal(without.location, `${path.pathname}${path.search}`);
    const again = await decide();
    assert.match(again.text, /Sign in once more to approve/, 'a password is no second factor');
    liar.lie = { claims: { sub: 'hal-there', auth_time: now(), amr: ['pwd', 'mfa'] } };
    const stale = await press(browser, formTo(asked, '/account/providers/confirm'));
    assert.equal(stale.status, 403, 'the session has another name since');
    const before = browser.cookies;
    await press(browser, formTo(again, '/account/providers/confirm'));
    assert.notEqual(browser.cookies, before, 'and once more');
    const approved = await decide();
    assert.equal(approved.status, 303);
    assert.ok(approved.location.startsWith(app.redirectUri), approved.location);
  });
});
