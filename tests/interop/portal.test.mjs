// Developers' pages on a host of their own: signed in once at the issuer, at home at both, signed out at both.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { everywhere } from './lib/chromium.mjs';
import { world } from './lib/kit.mjs';

// Cookies know hosts and no ports: the one listener has two names.
const portalOf = ({ port }) => `http://localhost:${port}`;
let developer;

const here = world({ settings: (server) => `portal_origin = "${portalOf(server)}"\n` }, async () => {
  await here.server.company('Ledger Works');
  developer = await here.server.person('developer@ledger.example', 'Ledger Works');
});

describe('in a real browser', () => {
  it('a developer signs in at the issuer and works at the developers\' host', () => everywhere(async (person, look) => {
    const { page } = person;
    const [portal, { issuer }] = [portalOf(here.server), here.server];
    const origin = () => new URL(page.url()).origin;
    const name = `Ledger ${look.size}${look.dark ? ' dark' : ''}`;
    await person.goTo(`${portal}/`);
    assert.equal(origin(), issuer, 'passwords are typed at the issuer alone');
    await person.lookAt('portal-sign-in');
    await person.signIn(developer);
    assert.equal(page.url(), `${portal}/`);

    await person.follow('Applications');
    await person.follow('New application');
    assert.equal(origin(), portal);
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Redirect URIs, one a line').fill('https://ledger.example/cb');
    await page.getByLabel('See your company\'s name').check();
    await person.press('Create application');
    assert.match(await page.locator('#secret').innerText(), /^mco_sec_[\w-]{43}$/);

    // The company's other pages are at the issuer's host, where she is signed in as well.
    await person.follow('Webhooks');
    assert.equal(origin(), issuer);
    assert.match(await person.text(), /There is no endpoint here/);
    await person.follow('Applications');
    assert.equal(origin(), portal);
    const application = page.getByRole('link', { name, exact: true });
    assert.equal(await application.count(), 1);

    await person.goTo(`${portal}/oauth/authorize?client_id=x`);
    assert.match(await person.text(), /There is nothing here/);
    await person.lookAt('portal-not-found');
    await person.goTo(`${portal}/`);
    await person.press('Sign out');
    assert.match(await person.text(), /You are signed out/);
    assert.equal(page.url(), `${portal}/signed-out`);
    await person.lookAt('portal-signed-out');
    await person.goTo(`${portal}/sign-in/handed-over?code=of-somebody-else&continue=%2F`);
    assert.match(await person.text(), /Please sign in once more/);
    await person.lookAt('portal-stale');
    await person.goTo(`${issuer}/account`);
    assert.equal(await page.getByLabel('Password').count(), 1, 'signed out there too');
    await person.goTo(`${portal}/`);
    await person.signIn(developer);
    assert.equal(page.url(), `${portal}/`);
  }));
});
