// Signing in through an external OpenID provider: every answer that must not be believed, and the honest ones beside them.
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';

import { Browser } from './lib/browser.mjs';
import { random } from './lib/dpop.mjs';
import { LyingProvider, makeKey } from './lib/openid-provider.mjs';
import { SERVER_BIN, SHUT_PORT, Server, run, temporaryDirectory } from './lib/processes.mjs';
import { fieldsOf, formTo, honest, throughProviders } from './lib/sign-in.mjs';

const SECRET = random();
let liar;
let server;
let files;

const entry = (name, extra = '') => `
[[oidc]]
name = "${name}"
label = "The ${name}"
issuer = "${liar.issuer(name)}"
client_id = "pay"
client_secret_file = "${join(files.path, 'secret')}"
${extra}`;

before(async () => {
  liar = await LyingProvider.start();
  files = temporaryDirectory();
  writeFileSync(join(files.path, 'secret'), `${SECRET}\n`, { mode: 0o600 });
  const nobody = `
[[oidc]]
name = "gone"
label = "The gone"
issuer = "http://localhost:${SHUT_PORT}"
client_id = "pay"
`;
  server = await Server.start({
    settings: `${entry('open', 'create = true\nsecond_factor = ["mfa"]')}${entry('closed')}${
      entry('strict', 'create = true\ndomains = ["shop.example"]')}${entry('other')}${nobody}`,
  });
  await server.company('Nordwind Trading');
});
after(async () => {
  await server.stop();
  await liar.stop();
  files.remove();
});
beforeEach(() => { liar.lie = {}; });

const { at, callback, depart, isSignedIn, signIn } = throughProviders(() => server);
const csrfOf = async (browser) => fieldsOf(formTo(await browser.load(at('/sign-in')), '/sign-in')).csrf;

describe('sign-in through a provider that lies', () => {
  it('an honest answer signs in, once, and goes on where it was asked', async () => {
    liar.lie = { claims: honest('ana') };
    const browser = new Browser();
    const url = await callback(browser, 'open', '/account');
    assert.equal(liar.last.scope, 'openid email profile');
    assert.equal(liar.last.code_challenge_method, 'S256');
    assert.equal(liar.last.redirect_uri, at('/sign-in/oidc/open/callback'));
    const answer = await browser.load(url);
    assert.deepEqual([answer.status, answer.location], [303, '/account']);
    const page = await browser.load(at('/account'));
    assert.match(page.text, /ana@shop\.example/);
    assert.match(page.text, /through The open/);
    const again = await browser.load(url);
    assert.equal(again.status, 403, 'a replayed callback');
    assert.match(again.text, /This sign-in is over/);
    assert.ok(await isSignedIn(browser), 'which changes nothing');
    const thief = new Browser();
    assert.equal((await thief.load(url)).status, 403);
    assert.ok(!await isSignedIn(thief));
  });

  it('a token that is not to be believed signs nobody in', async () => {
    const now = Math.floor(Date.now() / 1000);
    const stranger = await makeKey('first');
    const spoiled = (token) => `${token.slice(0, -8)}AAAAAAAA`;
    for (const [what, lie, reason] of [
      ['alg none', { algorithm: 'none' }, 'No signature found'],
      ['alg none in other letters', { spoil: (token) => [
        Buffer.from('{"alg":"nOnE"}').toString('base64url'), token.split('.')[1], '',
      ].join('.') }, 'the answer cannot be read'],
      ['HS256 with the client secret', { algorithm: 'HS256', secret: SECRET }, 'Disallowed signature algorithm'],
      ['another key of the same name', { key: stranger }, 'Crypto error'],
      ['a key nobody published', { key: stranger, kid: 'unknown' }, 'No matching key found'],
      ['a spoiled signature', { spoil: spoiled }, 'Crypto error'],
      ['crit', { header: { crit: ['b64'], b64: true } }, 'critical JWT header fields'],
      ['another audience', { claims: { aud: 'somebody-else' } }, 'Invalid audiences: must contain `pay`'],
      ['one more audience', { claims: { aud: ['pay', 'somebody-else'] } }, '`somebody-else` is not a trusted audience'],
      ['another authorized party', { claims: { azp: 'somebody-else' } }, 'azp is another client'],
      ['another issuer', { claims: { iss: 'https://id.example' } }, 'Invalid issuer'],
      ['the issuer with a slash', { claims: { iss: `${liar.issuer('open')}/` } }, 'Invalid issuer'],
      ['expired', { claims: { exp: now - 120 } }, 'Expired: ID token expired'],
      ['issued in an hour', { claims: { iat: now + 3600 } }, 'issued later'],
      ['a foreign nonce', { claims: { nonce: 'foreign' } }, 'nonce mismatch'],
      ['no nonce', { claims: { nonce: undefined } }, 'missing nonce'],
      ['another access token', { claims: { at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' } }, 'at_hash is of another access token'],
      ['no subject', { claims: { sub: undefined } }, 'the answer cannot be read'],
      ['an empty subject', { claims: { sub: '' } }, 'sub is empty or too long'],
      ['an endless subject', { claims: { sub: 'x'.repeat(256) } }, 'sub is empty or too long'],
      ['no token', { noToken: true }, 'there is none'],
      ['a token that is none', { spoil: () => 'nonsense' }, 'the answer cannot be read'],
    ]) {
      liar.lie = { ...lie, claims: { ...honest('mallory'), ...lie.claims } };
      const browser = new Browser();
      const log = readFileSync(server.process.log).length;
      const answer = await signIn(browser, 'open');
      assert.equal(answer.status, reason.includes('cannot be read') ? 503 : 403, what);
      assert.ok(!await isSignedIn(browser), what);
      const said = readFileSync(server.process.log).subarray(log).toString();
      assert.ok(said.includes(reason), `${what}: ${said}`);
    }
    liar.lie = { claims: honest('after') };
    const browser = new Browser();
    assert.equal((await signIn(browser, 'open')).status, 303, 'the honest one');
  });

  it('a new key is fetched when a token names it, and not at every lie', async () => {
    liar.lie = { claims: honest('rotated') };
    const browser = new Browser();
    assert.equal((await signIn(browser, 'other')).status, 403, 'nobody is known there');
    const before_ = liar.asked.filter((path) => path === 'jwks').length;
    await liar.newKey('second');
    liar.published = [...liar.keys];
    liar.lie = { claims: honest('rotated'), key: liar.keys[1] };
    const refused = await signIn(browser, 'other');
    assert.match(refused.text, /Nobody with your e-mail address/, 'the token was believed');
    for (let count = 0; count < 3; count += 1) {
      liar.lie = { claims: honest('rotated'), key: await makeKey('x'), kid: `unknown-${count}` };
      assert.match((await signIn(browser, 'other')).text, /could not believe/);
    }
    assert.equal(liar.asked.filter((path) => path === 'jwks').length, before_ + 1);
  });

  it('a state works in the browser that began, and nowhere else', async () => {
    liar.lie = { claims: honest() };
    const [victim, attacker] = [new Browser(), new Browser()];
    const url = await callback(attacker, 'open');
    assert.equal((await victim.load(url)).status, 403, 'without a cookie');
    await victim.load(at('/sign-in'));
    assert.equal((await victim.load(url)).status, 403, 'with another');
    assert.ok(!await isSignedIn(victim));
    for (const change of [
      (it_) => it_.searchParams.delete('state'),
      (it_) => it_.searchParams.set('state', random()),
      (it_) => it_.searchParams.append('state', random()),
      (it_) => it_.searchParams.append('code', random()),
    ]) {
      const changed = new URL(url);
      change(changed);
      assert.ok([400, 403].includes((await attacker.load(changed.href)).status));
      assert.ok(!await isSignedIn(attacker));
    }
    assert.equal((await attacker.load(url)).status, 303, 'none of which spent it');
  });

  it('an answer of another issuer, or at another callback, is refused', async () => {
    for (const answer of [{ iss: liar.issuer('closed') }, { iss: undefined }, { iss: '' }]) {
      liar.lie = { claims: honest(), answer };
      const browser = new Browser();
      const refused = await signIn(browser, 'open');
      assert.equal(refused.status, 403);
      assert.match(refused.text, /could not believe/);
    }
    liar.lie = { claims: honest() };
    const browser = new Browser();
    const url = await callback(browser, 'open');
    assert.equal((await browser.load(url.replace('/oidc/open/', '/oidc/strict/'))).status, 403);
    assert.ok(!await isSignedIn(browser));
    assert.equal((await browser.load(at('/sign-in/oidc/none/callback?state=x&code=y'))).status, 404);
  });

  it('what goes wrong there is said in a sentence', async () => {
    const browser = new Browser();
    for (const [lie, status, words] of [
      [{ answer: { error: 'access_denied', code: undefined } }, 403, /did not sign you in/],
      [{ answer: { error: 'server_error', code: undefined } }, 503, /does not answer/],
      [{ answer: { error: '<script>alert(1)</script>', code: undefined } }, 503, /does not answer/],
      [{ answer: { code: undefined } }, 503, /does not answer/],
      [{ answer: { code: 'x'.repeat(5000) } }, 503, /does not answer/],
      [{ token: { status: 500, body: 'oops' } }, 503, /does not answer/],
      [{ token: { status: 400, body: { error: 'invalid_grant' } } }, 403, /could not believe/],
      [{ token: { status: 400, body: { error: 'invalid_client' } } }, 503, /does not answer/],
      [{ token: { status: 200, body: '{}' } }, 503, /does not answer/],
      [{ token: { status: 200, body: `{"x":"${'x'.repeat(400_000)}"}` } }, 503, /does not answer/],
      [{ claims: { ...honest('zoe'), email_verified: false } }, 403, /did not confirm your e-mail address/],
      [{ claims: { ...honest('zoe'), email_verified: undefined } }, 403, /did not confirm your e-mail address/],
      [{ claims: { sub: 'zoe' } }, 403, /did not confirm your e-mail address/],
      [{ claims: { ...honest('zoe'), email: 'not an address' } }, 403, /did not confirm your e-mail address/],
    ]) {
      liar.lie = { claims: honest('zoe'), ...lie };
      const answer = await signIn(browser, 'open');
      assert.equal(answer.status, status, JSON.stringify(lie).slice(0, 200));
      assert.match(answer.text, words);
      assert.doesNotMatch(answer.text, /<script|oops/);
      assert.ok(!await isSignedIn(browser));
    }
    const { answer } = await depart(browser, 'gone');
    assert.equal(answer.status, 503);
    assert.match(answer.text, /The gone does not answer/);
  });

  it('nothing leads elsewhere', async () => {
    const browser = new Browser();
    const csrf = await csrfOf(browser);
    for (const destination of ['https://evil.example/', '//evil.example', '/sign-out', '/account/../..//evil.example']) {
      const form = { csrf, provider: 'open', continue: destination };
      assert.equal((await browser.load(at('/sign-in/oidc'), { method: 'POST', form })).status, 400);
    }
    for (const form of [{ provider: 'open' }, { csrf: random(), provider: 'open' }]) {
      assert.equal((await browser.load(at('/sign-in/oidc'), { method: 'POST', form })).status, 403);
    }
    const crossSite = { origin: liar.origin, 'sec-fetch-site': 'cross-site' };
    const form = { csrf, provider: 'open' };
    assert.equal((await browser.load(at('/sign-in/oidc'), { method: 'POST', form, headers: crossSite })).status, 403);
    assert.equal((await browser.load(at('/sign-in/oidc'), { method: 'POST', form: { csrf, provider: 'none' } })).status, 404);
  });

  it('who is unknown, or of another domain, stays outside', async () => {
    const browser = new Browser();
    liar.lie = { claims: honest('stranger') };
    assert.match((await signIn(browser, 'closed')).text, /Nobody with your e-mail address/);
    liar.lie = { claims: { ...honest('foreign'), email: 'foreign@evil.example' } };
    assert.match((await signIn(browser, 'strict')).text, /none of those that may sign in/);
    liar.lie = { claims: honest('local') };
    assert.equal((await signIn(browser, 'strict')).status, 303);
    await browser.load(at('/account'));
    liar.lie = { claims: { ...honest('local'), email: 'local@evil.example' } };
    assert.match((await signIn(new Browser(), 'strict')).text, /none of those/, 'at every sign-in');
  });

  it('an account with a password is opened by nobody who does not know it', async () => {
    const bea = await server.person('bea@shop.example', 'Nordwind Trading');
    liar.lie = { claims: { ...honest('bea-there'), email: 'BEA@shop.example' } };
    const browser = new Browser();
    const asked = await signIn(browser, 'closed', '/account');
    assert.equal(asked.status, 200);
    assert.match(asked.text, /Is this account yours too/);
    assert.ok(!await isSignedIn(browser));
    const fields = fieldsOf(formTo(asked, '/sign-in/oidc/link'));
    const prove = (who, change) => who.load(at('/sign-in/oidc/link'), { method: 'POST', form: { ...fields, ...change } });
    assert.equal((await prove(browser, { password: 'wrong password' })).status, 403);
    const thief = new Browser();
    const csrf = await csrfOf(thief);
    assert.equal((await prove(thief, { password: bea.password, csrf })).status, 403, 'another browser');
    assert.equal((await prove(browser, { password: bea.password, ticket: 'AAAA' })).status, 403);
    assert.ok(!await isSignedIn(browser));
    const done = await prove(browser, { password: bea.password });
    assert.deepEqual([done.status, done.location], [303, '/account']);
    assert.ok(await isSignedIn(browser));
    assert.equal((await signIn(new Browser(), 'closed')).status, 303, 'from then on');
    // Whatever address the same person has there.
    liar.lie = { claims: { sub: 'bea-there', email: 'married@shop.example', email_verified: false } };
    assert.equal((await signIn(new Browser(), 'closed')).status, 303);
    // The address was given to somebody else there.
    liar.lie = { claims: { ...honest('successor'), email: bea.email } };
    assert.match((await signIn(new Browser(), 'closed')).text, /linked with somebody else/);
  });

  it('an account without a password is not opened by a second provider', async () => {
    liar.lie = { claims: honest('cyd') };
    assert.equal((await signIn(new Browser(), 'open')).status, 303);
    assert.match((await signIn(new Browser(), 'strict')).text, /signs in another way/);
  });

  it('check says whether the providers answer', async () => {
    const checked = await run(SERVER_BIN, ['check', '--config', server.config, '--data-dir', server.dataDir, '--issuer',
      server.issuer, '--json']);
    const { checks } = JSON.parse(checked.stdout);
    const providers = checks.filter(({ check }) => check === 'sign-in provider');
    assert.deepEqual(providers.map(({ ok }) => ok), [true, true, true, true, false]);
    assert.match(providers.at(-1).message, /gone: discovery: The host does not take connections/);
    assert.doesNotMatch(checked.stdout, new RegExp(SECRET));
    chmodSync(join(files.path, 'secret'), 0o644);
    const open = await run(SERVER_BIN, ['check', '--config', server.config, '--data-dir', server.dataDir, '--json']);
    chmodSync(join(files.path, 'secret'), 0o600);
    assert.match(open.stdout, /everybody may read it/);
  });
});
