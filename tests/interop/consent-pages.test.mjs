// Consent in a real browser: by the keyboard alone, with a code, once, and by whoever may; then what is to be paid.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { everywhere, Person } from './lib/chromium.mjs';
import { ok } from './lib/http.mjs';
import { world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';
import { run } from './lib/processes.mjs';
import { codeOf } from './lib/totp.mjs';

const here = world({ companies: ['Nordwind Trading', 'Sudwind Trading'] });
const at = (path) => `${here.server.issuer}${path}`;
const named = ({ size, dark }) => `${size}${dark ? '-dark' : ''}`;

/** A store that is about to be connected. */
async function store() {
  const shop = new Store(here.server, 'wordpress');
  await shop.enrol();
  return { shop, ...shop.request() };
}

/** Presses Tab until something has the keyboard. */
async function tabTo(person, wanted) {
  const seen = [];
  for (let presses = 0; presses < 20; presses += 1) {
    const now = await person.focused();
    if (wanted.test(now)) return;
    seen.push(now);
    await person.page.keyboard.press('Tab');
  }
  assert.fail(`${wanted} is not reached: ${seen.join(' ')}`);
}

/** Presses Enter, and waits for the page that it leads to. */
async function enter(page) {
  const loaded = page.waitForEvent('load');
  await page.keyboard.press('Enter');
  await loaded;
}

/** Approves, and answers where the browser is sent. */
async function approve(page, redirectUri, press) {
  const answered = page.waitForRequest((request) => request.url().startsWith(redirectUri));
  await press();
  return new URL((await answered).url()).searchParams;
}

/** Lets time pass for the codes of everybody: as if each had been typed ten minutes before. */
async function codesAge() {
  const script = `import sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=30) as db:
    db.execute("UPDATE session SET proved_at = proved_at - 600")
    db.execute("UPDATE second_factor SET last_step = last_step - 20")
`;
  const { code, stderr } = await run('python3', ['-c', script, join(here.server.dataDir, 'counterfoil.db')]);
  assert.equal(code, 0, stderr);
}

describe('in a real browser', () => {
  it('a store is connected by the keyboard alone', async () => {
    const { shop, url, verifier } = await store();
    const person = await Person.open();
    const { page } = person;
    await person.goTo(url);
    await person.hasKeyboard(/^input:email/);
    await page.keyboard.type(here.merchant.email);
    await page.keyboard.press('Tab');
    await page.keyboard.type('a wrong password');
    await enter(page);
    assert.equal(await page.getByLabel('E-mail address').inputValue(), here.merchant.email, 'what was typed stays');
    await person.hasKeyboard(/^input:password$/);
    assert.match(await page.evaluate(() => document.getElementById(document.activeElement.getAttribute('aria-describedby')).innerText), /is not right/);
    await page.keyboard.type(here.merchant.password);
    await enter(page);
    await tabTo(person, /^input:mco_company/);
    await page.keyboard.press('ArrowDown');
    assert.equal(await page.getByLabel('Sudwind Trading').isChecked(), true);
    await tabTo(person, /^button:approve/);
    const { code } = Object.fromEntries(await approve(page, shop.redirectUri, () => page.keyboard.press('Enter')));
    await shop.accept(await shop.redeem({ code, code_verifier: verifier, redirect_uri: shop.redirectUri }));
    await person.close();
  });

  it('who has codes is asked for one when none was given just now', () => everywhere(async (person, look) => {
    const eve = await here.server.person(`eve-${named(look)}@shop.example`, 'Nordwind Trading');
    const { page } = person;
    await person.signIn(eve, here.server.issuer);
    await person.goTo(at('/account'));
    await person.follow('Turn codes on');
    await page.getByLabel('Present password').fill('not the password');
    await person.press('Begin');
    await person.hasKeyboard(/^input:password$/);
    await page.getByLabel('Present password').fill(eve.password);
    await person.press('Begin');
    const key = await page.locator('code').first().innerText();
    await page.getByLabel('Code').fill(codeOf(key));
    await person.press('Turn codes on');

    await codesAge();
    const { shop, url } = await store();
    await person.goTo(url);
    await person.press('Approve');
    assert.match(await person.text(), /Type your code to approve/);
    await person.lookAt('step-up');
    await page.getByLabel('Code').fill('000000');
    await person.press('Approve');
    assert.match(await person.text(), /not right, or was used before/);
    await person.lookAt('step-up-wrong');
    await page.getByLabel('Code').fill(codeOf(key));
    const answer = await approve(page, shop.redirectUri, () => page.getByRole('button', { name: 'Approve', exact: true }).click());
    assert.ok(answer.get('code'));
  }));

  it('what was decided is decided, and whoever may not approve is told so', () => everywhere(async (person, look) => {
    const { shop, url } = await store();
    const { page } = person;
    await person.goTo(url);
    await person.signIn(here.merchant);
    await page.getByLabel('Nordwind Trading').check();
    // The form is sent twice: once from elsewhere in this browser, once from the page.
    const fields = await page.locator('form').first().evaluate((form) => Object.fromEntries(new FormData(form)));
    const first = await person.context.request.post(at('/oauth/authorize/decision'), {
      form: { ...fields, decision: 'approve' }, headers: { origin: here.server.issuer }, maxRedirects: 0,
    });
    assert.ok(first.headers().location.startsWith(shop.redirectUri));
    await person.press('Approve');
    assert.match(await person.text(), /This was already decided/);
    await person.lookAt('decided');
    await person.goTo(at('/'));
    await person.press('Sign out');

    const helper = await here.server.person(`helper-${named(look)}@shop.example`);
    await here.server.operator(
      ['user', 'add', '--email', helper.email, '--company', 'Nordwind Trading', '--role', 'support', '--password-stdin'],
      `${helper.password}\n`,
    );
    await person.goTo((await store()).url);
    await person.signIn(helper);
    assert.match(await person.text(), /You cannot approve for a company yet/);
    await person.lookAt('no-company');
    await person.goTo(at('/'));
    await person.follow('Nordwind Trading');
    assert.doesNotMatch(await person.text(), /Applications/);
    await person.goTo(`${page.url()}/applications`);
    assert.match(await person.text(), /Your role does not allow this.*Support/);
    await person.lookAt('role-not-allowed');
    await person.follow('To the start page');
    assert.match(await person.text(), /Your companies/);
  }));

  it('a payment link says what is to be paid, and that it was', () => everywhere(async (person) => {
    const shop = new Store(here.server, 'wordpress');
    await shop.connect(here.browser, { company: 'Nordwind Trading' });
    const { uid } = ok(await shop.api('POST', 'payment-links', {
      json: { payload: { amount: '49.90', fiatCurrency: 'EUR' } },
    }), 201).paymentLink;
    await person.goTo(at(`/payment/${uid}`));
    assert.match(await person.text(), /49\.90 EUR.*Waiting for payment/);
    await person.lookAt('payment');
    await here.server.operator(['payment-link', 'set-status', uid, 'complete', '--amount', '49.90']);
    await person.page.reload();
    assert.match(await person.text(), /49\.90 EUR.*Paid/);
    await person.goTo(at('/payment/pl_nothing'));
    await person.lookAt('payment-unknown');
    await person.goTo(at('/nothing/here'));
    await person.lookAt('nothing');
  }));

  it('names that are long, or are read from the right, fit', () => everywhere(async (person, look) => {
    const long = `Gesellschaft für grenzüberschreitenden Zahlungsverkehr mbH & Co. KG ${named(look)}`;
    const other = `شركة الأمل للتجارة الإلكترونية ${named(look)}`;
    for (const company of [long, other]) await here.server.company(company);
    const who = await here.server.person(`names-${named(look)}@a-rather-long-name-of-a-company.international.example`, long, other);
    const app = await App.register(here.server, { name: 'Buchhaltungssynchronisierungsanwendung für alle Händler', company: long });
    const arabic = await App.register(here.server, { name: 'دفتر الحسابات', company: other });
    await person.goTo(app.request().url);
    await person.signIn(who);
    await person.lookAt('consent-long');
    await person.goTo(arabic.request().url);
    await person.lookAt('consent-rtl');
    await person.goTo(at('/'));
    await person.lookAt('home-long');
    await person.follow(long);
    await person.lookAt('company-long');
    await person.follow('Applications');
    await person.lookAt('applications-long');
    await person.follow('Buchhaltungssynchronisierungsanwendung für alle Händler');
    await person.lookAt('application-long');
  }));
});
