// People in a real browser: the first owner, invitations, one-time codes, a forgotten password, and their pages.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { everywhere } from './lib/chromium.mjs';
import { world } from './lib/kit.mjs';
import { linkIn, outboxLetter } from './lib/mail.mjs';
import { codeOf } from './lib/totp.mjs';
import { SERVER_BIN, run } from './lib/processes.mjs';

const here = world({ companies: ['Nordwind Trading'] });
const at = (path) => `${here.server.issuer}${path}`;
const PASSWORD = 'four words in a row';

const named = ({ size, dark }) => `${size}${dark ? '-dark' : ''}`;

describe('people', () => {
  it('the first owner follows the link of init, and invites somebody', () => everywhere(async (person, look) => {
    const name = named(look);
    const company = `Harbour Books ${name}`;
    const init = ['init', '--company', company, '--email', `ada-${name}@shop.example`, '--issuer', here.server.issuer];
    const first = await here.server.operator(init);
    const { link } = await here.server.operator(init);
    await person.goTo(first.link);
    assert.match(await person.text(), /does not stand any more/);
    await person.goTo(link);
    await person.lookAt('invitation-new');
    await person.page.getByLabel('Password').fill('password');
    await person.press('Accept');
    assert.match(await person.text(), /one of the first that anybody tries/);
    await person.page.getByLabel('Password').fill(PASSWORD);
    await person.press('Accept');
    assert.match(await person.text(), new RegExp(`${company}.*Owner`));
    await person.goTo(link);
    assert.match(await person.text(), /does not stand any more/);

    await person.goTo(at('/'));
    await person.follow('People');
    await person.page.getByLabel('E-mail address').fill(`ben-${name}@shop.example`);
    await person.page.getByLabel('Developer').check();
    await person.press('Send the invitation');
    assert.match(await person.text(), /on its way by mail/);
    // A form that is refused keeps what was written, and the keyboard is where it says why.
    await person.page.getByLabel('E-mail address').fill(`ada-${name}@shop.example`);
    await person.page.getByLabel('Support').check();
    await person.press('Send the invitation');
    await person.hasKeyboard(/acts for the company already/);
    assert.equal(await person.page.getByLabel('E-mail address').inputValue(), `ada-${name}@shop.example`);
    assert.equal(await person.page.getByLabel('Support').isChecked(), true);
    await person.page.getByText('Change role or remove').click();
    await person.lookAt('people');
    await person.press('Remove yourself');
    assert.match(await person.text(), /the last owner/);
    await person.lookAt('people-problem');
    const letter = await outboxLetter(here.server, `ben-${name}@shop.example`);
    assert.match(letter, new RegExp(`ada-${name}@shop.example invites you`));
    await person.goTo(linkIn(letter));
    assert.match(await person.text(), /This invitation is for/);
    await person.lookAt('invitation-other');
    await person.press('Sign out');
    await person.goTo(linkIn(letter));
    await person.page.getByLabel('Password').fill(PASSWORD);
    await person.press('Accept');
    assert.match(await person.text(), /Developer/);
  }));

  it('codes are turned on, and asked for at sign-in and approval', () => everywhere(async (person, look) => {
    const cleo = await here.server.person(`cleo-${named(look)}@shop.example`, 'Nordwind Trading');
    await person.signIn(cleo, here.server.issuer);
    await person.goTo(at('/account'));
    await person.lookAt('account');
    await person.follow('Turn codes on');
    await person.lookAt('codes-off');
    await person.page.getByLabel('Present password').fill(cleo.password);
    await person.press('Begin');
    await person.lookAt('codes-begun');
    const drawn = await person.page.evaluate(() => document.querySelector('img.qr').naturalWidth);
    assert.ok(drawn > 0, 'the picture is there');
    const key = await person.page.locator('code').first().innerText();
    // The next one: it is taken for a minute at least, however long the typing takes.
    const code = codeOf(key, Math.floor(Date.now() / 30_000) + 1);
    await person.page.getByLabel('Code').fill(code);
    await person.press('Turn codes on');
    await person.lookAt('codes-new');
    const recovery = await person.page.locator('.recovery code').allInnerTexts();
    assert.equal(recovery.length, 10);

    await person.press('Sign out');
    const app = await App.register(here.server, { name: `Ledger ${named(look)}` });
    await person.goTo(app.request().url);
    await person.signIn(cleo);
    await person.lookAt('sign-in-code');
    await person.page.getByLabel('Code').fill(code);
    await person.press('Sign in');
    assert.match(await person.text(), /not right, or was used before/);
    await person.page.getByLabel('Code').fill(recovery[0]);
    await person.press('Sign in');
    assert.match(await person.text(), /Approve/);
    await person.goTo(at('/account'));
    await person.lookAt('account-codes-on');
    assert.match(await outboxLetter(here.server, cleo.email, 'recovery code was used'), /9 are left/);
    await person.follow('Turn codes off');
    await person.lookAt('codes-on');

    // Phone and recovery codes are gone: the operator is asked.
    const reset = ['user', 'reset-codes', cleo.email, '--issuer', here.server.issuer];
    const asked = await run(SERVER_BIN, ['--data-dir', here.server.dataDir, ...reset]);
    assert.deepEqual([asked.code, /Be sure that it is they who ask/.test(asked.stderr)], [1, true]);
    const done = await here.server.operator([...reset, '--yes']);
    assert.deepEqual([done.codes_reset, done.sessions_ended], [true, 1]);
    await person.goTo(at('/account'));
    await person.signIn(cleo);
    assert.match(await person.text(), /Turn codes on/);
    assert.match(await outboxLetter(here.server, cleo.email, 'Support turned off'), new RegExp(at('/account')));
    assert.equal((await run(SERVER_BIN, ['--data-dir', here.server.dataDir, ...reset, '--yes'])).code, 1, 'once');
  }));

  it('a forgotten password is replaced by mail', () => everywhere(async (person, look) => {
    const dan = await here.server.person(`dan-${named(look)}@shop.example`, 'Nordwind Trading');
    await person.goTo(at('/sign-in'));
    await person.follow('Forgotten your password?');
    await person.lookAt('forgotten');
    await person.page.getByLabel('E-mail address').fill(dan.email);
    await person.press('Send the link');
    await person.lookAt('forgotten-sent');
    await person.goTo(linkIn(await outboxLetter(here.server, dan.email)));
    await person.lookAt('reset');
    await person.page.getByLabel('New password').fill(PASSWORD);
    await person.press('Change the password');
    await person.follow('Sign in');
    await person.signIn({ email: dan.email, password: PASSWORD });
    assert.match(await person.text(), /Nordwind Trading/);
    await person.goTo(at('/account'));
    await person.press('Sign out everywhere');
    assert.match(await person.text(), /Forgotten your password/);
  }));
});
