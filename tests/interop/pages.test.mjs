// What merchants look at, in a real browser: signing in, their companies, consent, and what goes wrong.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { everywhere } from './lib/chromium.mjs';
import { world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const here = world({ companies: ['Nordwind Trading', 'Sudwind Trading'] });
const at = (path) => `${here.server.issuer}${path}`;

describe('in a real browser', () => {
  it('a person signs in, is told when that fails, sees the companies, and signs out', () => everywhere(async (person) => {
    await person.goTo(at('/'));
    await person.lookAt('sign-in');
    await person.signIn({ email: here.merchant.email, password: 'not the password' });
    assert.match(await person.text(), /is not right/);
    await person.lookAt('sign-in-wrong');
    await person.signIn(here.merchant);
    assert.match(await person.text(), /Nordwind Trading.*Sudwind Trading/);
    await person.lookAt('home');
    await person.follow('Nordwind Trading');
    await person.lookAt('company');
    await person.press('Sign out');
    assert.match(await person.text(), /Sign in/);
  }));

  it('a page that was asked for is shown after signing in, and a foreign company is not', () => everywhere(async (person) => {
    const foreign = at('/companies/co_elsewhere?page=1');
    await person.goTo(foreign);
    await person.signIn(here.merchant);
    assert.equal(person.page.url(), foreign);
    assert.match(await person.text(), /There is nothing here/);
    await person.lookAt('not-found');
  }));

  it('a merchant is asked for a store', () => everywhere(async (person) => {
    const shop = new Store(here.server, 'wordpress');
    await shop.enrol();
    await person.goTo(shop.request().url);
    await person.signIn(here.merchant);
    assert.match(await person.text(), /Which company gets paid/);
    await person.lookAt('consent-store');
  }));

  it('a merchant is asked for an application', () => everywhere(async (person) => {
    const app = await App.register(here.server, { name: 'Ledger Sync' });
    await person.goTo(app.request().url);
    await person.signIn(here.merchant);
    assert.match(await person.text(), /Ledger Sync/);
    await person.lookAt('consent-application');
  }));
});
