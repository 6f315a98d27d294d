// Signing in through a certified OpenID provider, in a real browser: from a store's request to the approval, and with no
// password anywhere.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { everywhere } from './lib/chromium.mjs';
import { linkIn, outboxLetter } from './lib/mail.mjs';
import { RealProvider, listening } from './lib/openid-provider.mjs';
import { Server, temporaryDirectory } from './lib/processes.mjs';

let application;
let files;
let provider;
const servers = {};

const settings = (extra) => `${extra}
[[oidc]]
name = "harbour"
label = "Harbour ID"
issuer = "${provider.origin}"
client_id = "${provider.clientId}"
client_secret_file = "${join(files.path, 'secret')}"
`;

before(async () => {
  files = temporaryDirectory();
  provider = await RealProvider.start();
  writeFileSync(join(files.path, 'secret'), provider.secret, { mode: 0o600 });
  servers.both = await Server.start({ settings: settings('') });
  servers.alone = await Server.start({ settings: settings('passwords = false') });
  provider.open(Object.values(servers).map(({ issuer }) => `${issuer}/sign-in/oidc/harbour/callback`));
  await servers.both.company('Nordwind Trading');
  application = await listening((request, response) => response.end('The application is connected'));
});
after(async () => {
  for (const server of Object.values(servers)) await server.stop();
  await provider.stop();
  await application.stop();
  files.remove();
});

const named = ({ size, dark }) => `${size}${dark ? '-dark' : ''}`;

/** Signs in on the provider's own pages. */
async function signInThere(person, login) {
  await person.page.waitForURL(`${provider.origin}/**`);
  await person.page.locator('input[name=login]').fill(login);
  await person.page.locator('input[name=password]').fill('whatever');
  await person.click(person.page.locator('button[type=submit]').first());
  const agree = person.page.getByRole('button', { name: 'Continue' });
  if (person.page.url().startsWith(provider.origin) && await agree.count() > 0) await agree.click();
}

/** Waits until the browser is back: at none of the server's pages on the way there and back. */
const arrive = (person, server) => person.page.waitForURL((url) => url.origin === server.issuer
  && !/^\/(sign-in\/oidc|account\/providers)\b/.test(url.pathname));

describe('sign-in through a provider', () => {
  it('from the request of an application to its approval, and linked from then on', () => everywhere(async (person, look) => {
    const server = servers.both;
    const gus = await server.person(`gus-${named(look)}@shop.example`, 'Nordwind Trading');
    const app = await App.register(server, { name: `Ledger ${named(look)}`, redirectUris: [`${application.origin}/cb`] });
    const request = app.request();
    await person.goTo(request.url);
    await person.lookAt('sign-in-provider');
    await person.press('Continue with Harbour ID');
    await signInThere(person, gus.email);
    await person.page.getByText('Is this account yours too?').waitFor();
    await person.lookAt('provider-link');
    await person.page.getByLabel('Password').fill('wrong');
    await person.press('Link and sign in');
    assert.match(await person.text(), /The password is not right/);
    await person.page.getByLabel('Password').fill(gus.password);
    await person.press('Link and sign in');
    assert.match(await person.text(), /Ledger .* act for your company/);
    await person.press('Approve');
    await person.page.getByText('The application is connected').waitFor();
    const back = new URL(person.page.url());
    assert.equal(back.searchParams.get('state'), request.parameters.state);
    const tokens = await app.token({
      grant_type: 'authorization_code', code: back.searchParams.get('code'), code_verifier: request.verifier,
      redirect_uri: app.redirectUri,
    });
    assert.equal(tokens.status, 200);
    assert.match(await outboxLetter(server, gus.email, 'Harbour ID'), /can now be signed in to through Harbour ID/);

    await person.goTo(`${server.issuer}/account`);
    assert.match(await person.text(), /through Harbour ID/);
    await person.lookAt('account-linked');
    await person.press('Sign out');
    await person.goTo(`${server.issuer}/account`);
    await person.press('Continue with Harbour ID');
    await arrive(person, server);
    assert.match(await person.text(), /Your account/, 'the provider knows its browser still');
    await person.press('Unlink Harbour ID');
    assert.match(await person.text(), /That account is unlinked/);
    await person.page.getByLabel('Present password').first().fill(gus.password);
    await person.press('Link Harbour ID');
    await arrive(person, server);
    assert.match(await person.text(), /That account is linked/);
    await person.press('Sign out everywhere');
    assert.match(await person.text(), /Continue with Harbour ID/);
  }));

  it('without any password: invited, codes turned on, refused, and back', () => everywhere(async (person, look) => {
    const server = servers.alone;
    const email = `ida-${named(look)}@shop.example`;
    const company = `Harbour Books ${named(look)}`;
    await person.goTo(`${server.issuer}/sign-in`);
    assert.doesNotMatch(await person.text(), /Password|Forgotten/);
    await person.lookAt('sign-in-provider-only');
    await person.goTo(`${server.issuer}/forgotten-password`);
    assert.match(await person.text(), /There are no passwords here/);
    const { link } = await server.operator(['init', '--company', company, '--email', email, '--issuer', server.issuer]);
    await person.goTo(link);
    await person.lookAt('invitation-provider');
    await person.press('Continue with Harbour ID');
    await signInThere(person, email);
    await arrive(person, server);
    await person.press('Accept');
    assert.match(await person.text(), new RegExp(`${company}.*Owner`));
    await person.goTo(`${server.issuer}/account/codes`);
    await person.lookAt('codes-confirm-first');
    await person.press('Confirm at Harbour ID');
    await signInThere(person, email);
    await arrive(person, server);
    await person.press('Begin');
    assert.match(await person.text(), /Type the six digits/);
    await person.goTo(`${server.issuer}/account`);
    await person.press('Unlink Harbour ID');
    assert.match(await person.text(), /the only way in which you can sign in/);

    // Somebody nobody knows, in the same browser.
    await person.press('Sign out everywhere');
    await person.context.clearCookies();
    await person.goTo(`${server.issuer}/sign-in`);
    await person.press('Continue with Harbour ID');
    await signInThere(person, `nobody-${named(look)}@shop.example`);
    await person.page.getByText('Harbour ID is not enough here').waitFor();
    await person.lookAt('provider-refused');
    await person.follow('Back to sign-in');
    assert.match(await person.text(), /Continue with Harbour ID/);
  }));
});
