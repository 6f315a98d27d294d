// A developer and a merchant in a real browser: an application is made, gets a picture and a secret, is connected by
// another company, and deleted.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import * as client from 'openid-client';

import { everywhere } from './lib/chromium.mjs';
import { world } from './lib/kit.mjs';

const CALLBACK = 'https://ledger.example/cb';
let developer;

const here = world({ companies: ['Nordwind Trading'] }, async () => {
  await here.server.company('Ledger Works');
  developer = await here.server.person('developer@ledger.example', 'Ledger Works');
});
const at = (path) => `${here.server.issuer}${path}`;

/** A picture as an application on a developer's machine would have drawn it. */
async function picture(page) {
  const base64 = await page.context().newPage().then(async (other) => {
    await other.setViewportSize({ width: 320, height: 200 });
    await other.setContent('<body style="margin:0;background:#0a7;font:120px sans-serif;color:#fff">L</body>');
    const shot = await other.screenshot();
    await other.close();
    return shot;
  });
  return { name: 'icon.png', mimeType: 'image/png', buffer: base64 };
}

const secretOn = (page) => page.locator('#secret').innerText();

/** Redeems the code of a callback as openid-client does; answers the tokens and what renews them. */
async function redeem(id, secret, location, verifier, state) {
  const config = await client.discovery(new URL(here.server.issuer), id, undefined, client.ClientSecretBasic(secret), {
    algorithm: 'oauth2', execute: [client.allowInsecureRequests],
  });
  return {
    config,
    tokens: await client.authorizationCodeGrant(
      config, new URL(location), { pkceCodeVerifier: verifier, expectedState: state },
    ),
  };
}

describe('in a real browser', () => {
  it('a developer makes an application, a merchant connects it, the developer deletes it', () => everywhere(async (person, look) => {
    const name = `Ledger ${look.size}${look.dark ? ' dark' : ''}`;
    const { page } = person;
    await person.goTo(at('/'));
    await person.signIn(developer);
    await person.follow('Applications');
    await person.lookAt('applications-none');
    await person.follow('New application');
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Redirect URIs, one a line').fill('https://ledger.example/cb#fragment');
    await page.getByLabel('See your company\'s name').check();
    await page.getByLabel('Create and change payment links').check();
    await page.getByLabel('Support contact').fill('help@ledger.example');
    await page.getByLabel('Privacy policy').fill('https://ledger.example/privacy');
    await page.getByLabel('Terms').fill('https://ledger.example/terms');
    await person.press('Create application');
    assert.match(await person.text(), /Nothing was saved yet.*the URI has parts that it must not have/);
    await person.hasKeyboard(/Nothing was saved yet/);
    await person.lookAt('application-wrong');
    await page.getByLabel('Redirect URIs, one a line').fill(CALLBACK);
    await person.press('Create application');
    const secret = await secretOn(page);
    assert.match(secret, /^mco_sec_[\w-]{43}$/);
    await person.lookAt('application-secret');

    await page.reload();
    assert.doesNotMatch(await page.content(), /mco_sec_/);
    await person.goTo(at('/'));
    await person.follow('Applications');
    await person.lookAt('applications');
    assert.equal(await page.getByRole('link', { name, exact: true }).count(), 1);
    await person.follow(name);

    await page.getByLabel('A picture of your application').setInputFiles({
      name: 'icon.png', mimeType: 'image/png', buffer: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="x"/>'),
    });
    await person.press('Upload icon');
    assert.match(await person.text(), /SVG is not accepted/);
    await page.getByLabel('A picture of your application').setInputFiles(await picture(page));
    await person.press('Upload icon');
    assert.equal(await page.locator('img.icon').evaluate((image) => image.complete && image.naturalWidth), 256);
    await person.lookAt('application');
    const application = page.url();
    const example = await page.locator('code.copy').innerText();

    await person.follow('Rotate the secret');
    await person.lookAt('application-rotate');
    await page.getByLabel('For one day').check();
    await person.press('Rotate the secret');
    const rotated = await secretOn(page);
    assert.notEqual(rotated, secret);
    assert.match(await person.text(), /The secret before works until/);
    await page.reload();
    assert.match(await person.text(), /Nothing was changed: that form was used already/);
    assert.doesNotMatch(await page.content(), /mco_sec_/);
    await person.press('Sign out');

    // Another company's merchant follows the developer's link.
    const verifier = client.randomPKCECodeVerifier();
    const link = new URL(example);
    link.searchParams.set('code_challenge', await client.calculatePKCECodeChallenge(verifier));
    link.searchParams.set('state', 'a-state');
    await person.goTo(link.href);
    await person.signIn(here.merchant);
    const asked = await person.text();
    for (const words of [
      `Let ${name} act for your company?`, 'belongs to Ledger Works', 'https://ledger.example', 'help@ledger.example',
      'https://ledger.example/privacy', 'https://ledger.example/terms', 'Nordwind Trading', 'Verified:', 'Not verified:',
    ]) assert.ok(asked.includes(words), `${words}: ${asked}`);
    assert.match(asked, /It will be able to See See your company's name.* Change Create and change payment links/);
    assert.equal(await page.locator('img.icon').evaluate((image) => image.complete && image.naturalWidth), 256);
    await person.lookAt('consent-partner');
    const answered = page.waitForRequest((request) => request.url().startsWith(CALLBACK));
    await person.press('Approve');
    const location = (await answered).url();
    // Nobody is at home there; the browser's own page says so.
    await page.waitForURL((url) => url.protocol === 'chrome-error:');
    const id = link.searchParams.get('client_id');
    // The secret before still opens, and the new one as well.
    const { tokens } = await redeem(id, secret, location, verifier, 'a-state');
    const config = await client.discovery(new URL(here.server.issuer), id, undefined, client.ClientSecretPost(rotated), {
      algorithm: 'oauth2', execute: [client.allowInsecureRequests],
    });
    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
    await person.goTo(at('/'));
    await person.press('Sign out');

    await person.signIn(developer, here.server.issuer);
    await person.goTo(application);
    assert.match(await person.text(), /Connected 1 company/);
    await person.follow('Delete this application');
    assert.match(await person.text(), /One company is connected to it/);
    await person.lookAt('application-delete');
    await page.getByLabel(`Type its name: ${name}`).fill('Ledger');
    await person.press('Delete it and end every connection');
    assert.match(await person.text(), /Nothing was deleted/);
    assert.equal(await page.getByLabel(`Type its name: ${name}`).inputValue(), 'Ledger', 'what was typed stays');
    await page.getByLabel(`Type its name: ${name}`).fill(name);
    await person.press('Delete it and end every connection');
    assert.equal(await page.getByRole('link', { name, exact: true }).count(), 0);
    await assert.rejects(client.refreshTokenGrant(config, renewed.refresh_token), ({ error }) => error === 'invalid_client');
    const links = new URL(`${here.server.audience}/makepay/payment-links`);
    await assert.rejects(
      client.fetchProtectedResource(config, renewed.access_token, links, 'GET'), ({ status }) => status === 401,
    );
  }));
});
