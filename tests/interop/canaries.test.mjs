// Nothing secret is written where it does not belong: after everything that people, applications and stores do well and
// badly, logs at their most talkative, metrics, the audit trail, refusals, what commands print and what lies in the
// database are searched for every secret that passed.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

import { App, CALLBACK } from './lib/app.mjs';
import { Browser, readForms } from './lib/browser.mjs';
import { Key, pkce, random } from './lib/dpop.mjs';
import { basic, ok, send } from './lib/http.mjs';
import { UNTHROTTLED, world } from './lib/kit.mjs';
import { linkIn, outboxLetter } from './lib/mail.mjs';
import { Store } from './lib/native.mjs';
import { LyingProvider } from './lib/openid-provider.mjs';
import { SERVER_BIN, freePort, run, temporaryDirectory, until } from './lib/processes.mjs';
import { Receiver } from './lib/receiver.mjs';
import { Secrets } from './lib/secrets.mjs';
import { fieldsOf, formTo, honest, throughProviders } from './lib/sign-in.mjs';
import { codeOf } from './lib/totp.mjs';

const directory = temporaryDirectory();
const file = (name, text) => {
  const path = join(directory.path, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
};
const engineToken = random();
const providerSecret = random();
const metrics = await freePort();
const [liar, receiver] = [await LyingProvider.start(), await Receiver.start()];
after(async () => {
  receiver.stop();
  await liar.stop();
});

const here = world({
  after: directory.remove,
  settings: `log = "trace"
metrics_listen = "127.0.0.1:${metrics}"
${UNTHROTTLED}
[engine]
token_file = "${file('engine.token', engineToken)}"
[webhooks]
interval_seconds = 1
attempts = 2
[[oidc]]
name = "liar"
label = "Elsewhere"
issuer = "${liar.issuer('liar')}"
client_id = "pay"
client_secret_file = "${file('provider.secret', providerSecret)}"
create = true
`,
});
const at = (path) => `${here.server.issuer}${path}`;
const FORGED = 'FORGED-LINE-BY-A-CANARY';

/** Posts a form of a page with these fields; answers the page that comes of it. */
async function press(browser, page, action, fields) {
  const form = readForms((await browser.load(at(page))).text).find((one) => one.action === action);
  assert.ok(form, `${page} has no form to ${action}`);
  return browser.visit(at(action), { method: 'POST', form: { ...fieldsOf(form), ...fields } });
}

async function people(secrets) {
  const { merchant, browser } = here;
  await browser.reachConsent((await App.register(here.server, { name: 'First' })).request().url);
  for (const email of [merchant.email, 'nobody@shop.example', `x\r\n${FORGED}`]) {
    await press(new Browser(), '/sign-in', '/sign-in', { email, password: 'canary-of-a-wrong-password' });
  }
  await press(new Browser(), '/forgotten-password', '/forgotten-password', { email: merchant.email });
  const reset = linkIn(await outboxLetter(here.server, merchant.email, '/reset-password'));
  const init = ['init', '--company', 'Harbour Books', '--email', 'ada@harbour.example', '--issuer', here.server.issuer];
  const { link: invitation } = await here.server.operator(init);
  for (const link of [reset, invitation]) {
    secrets.note('a link', link.split(/[=/]/).at(-1));
    await new Browser().visit(link);
    await new Browser().visit(`${link}x`);
  }

  const cleo = await here.server.person('cleo@shop.example', 'Nordwind Trading');
  const hers = new Browser(cleo);
  await press(hers, '/sign-in', '/sign-in', cleo);
  await press(hers, '/account/codes', '/account/codes/begin', { password: cleo.password });
  const page = await hers.load(at('/account/codes'));
  const [, key] = /<code>([A-Z2-7 ]{16,})<\/code>/.exec(page.text);
  for (const spelled of [key, key.replaceAll(' ', '')]) secrets.note('key of codes', spelled);
  const { answer } = await press(hers, '/account/codes', '/account/codes/confirm', { code: codeOf(key) });
  for (const [, code] of answer.text.matchAll(/<li><code>([^<]+)<\/code><\/li>/g)) secrets.note('recovery code', code);
  const changed = { password: cleo.password, new_password: 'canary of a new password' };
  await press(hers, '/account', '/account/password', changed);

  // What the provider says is heard by the server alone.
  liar.lie = { claims: honest('dora-of-elsewhere') };
  const ways = throughProviders(() => here.server);
  const form = formTo(await new Browser().load(at('/sign-in')), '/sign-in/oidc', 'liar');
  assert.ok(form);
  assert.equal((await ways.signIn(new Browser(), 'liar')).status, 303);
  const callback = await ways.callback(new Browser(), 'liar');
  assert.equal((await new Browser().load(callback)).status, 403, 'in another browser');
  for (const told of liar.told) secrets.noteMembers(told);
}

async function applications(secrets) {
  const app = await App.register(here.server, { scopes: ['company:read', 'makepay:payment-links:write'] });
  secrets.note('client_secret', app.secret);
  const { client_secret: next } = await here.server.operator(['app', 'rotate-secret', app.id, '--overlap-hours', '1']);
  secrets.note('client_secret', next);
  const grant = await app.authorize(here.browser);
  await app.token({ ...grant, code_verifier: pkce().verifier });
  await app.token(grant, { dpop: new Key().proof('GET', app.at('/oauth/token')) });
  const tokens = ok(await app.token(grant));
  await app.token(grant);
  const inBody = { client_id: app.id, client_secret: app.secret };
  await send(app.at('/oauth/token'), { form: { ...inBody, client_secret: 'canary-of-a-wrong-secret', grant_type: 'client_credentials' } });
  ok(await send(app.at('/oauth/token'), { form: { ...inBody, grant_type: 'client_credentials' } }));
  await app.introspect(tokens.access_token);
  const { request_uri: uri } = ok(await app.push(app.request().parameters), 201);
  await here.browser.deny(app.url({ client_id: app.id, request_uri: uri }));
  const again = ok(await app.token(await app.authorize(here.browser)));
  const api = (token, scheme = 'Bearer') => send(`${here.server.audience}/company`, { headers: { authorization: `${scheme} ${token}` } });
  ok(await api(again.access_token));
  await api(`${again.access_token}x`);
  await api(again.access_token, 'DPoP');
  await send(`${here.server.audience}/company?access_token=${again.access_token}`);
  await send(`${at('/oauth/token')}?code=${grant.code}&client_secret=${app.secret}`, { form: {} });
  const renewed = ok(await app.refresh(again.refresh_token));
  await app.refresh(again.refresh_token);
  await app.revoke(renewed.refresh_token);
  await send(at('/oauth/token'), { form: {}, headers: basic(`${app.id}\r\n${FORGED}`, app.secret) });
  await send(app.url(app.request({ client_id: `${FORGED}\r\n${FORGED}` }).parameters));
  await send(app.url(app.request({ redirect_uri: `${CALLBACK}\r\n${FORGED}`, state: `\r\n${FORGED}` }).parameters));
  await send(here.server.issuer, { target: `/%0a${FORGED}`, headers: { 'user-agent': FORGED } });

  const { endpoint_id: id, signing_secret: first } = await here.server.operator(['webhook', 'add', '--app', app.id, '--url', `${receiver.url}/app`]);
  const { signing_secret: second } = await here.server.operator(['webhook', 'rotate', id]);
  for (const secret of [first, second]) secrets.note('signing secret', secret);
  // A receiver that says what it should keep to itself.
  receiver.answer = (response) => response.writeHead(500).end(`${first} ${second}`);
  await here.server.operator(['webhook', 'test', id]);
  await until('the test', async () => (await here.server.operator(['webhook', 'deliveries', '--endpoint', id])).deliveries[0]?.status === 'failed');
  receiver.answer = (response) => response.end('ok');
}

async function stores() {
  const shop = new Store(here.server, 'wordpress');
  await shop.enrol();
  await shop.register({ key: new Key() });
  await shop.register({ headers: { 'dpop-previous': 'canary-of-a-proof' } });
  await shop.connect(here.browser);
  const grant = await shop.authorize(here.browser);
  await shop.redeem(grant, { key: new Key() });
  await shop.accept(await shop.redeem(grant));
  const before = shop.tokens.refresh_token;
  await shop.stillWorks();
  ok(await shop.api('PUT', 'webhook-subscriptions/current', {
    json: { active: true, events: ['makepay.payment.*'], url: `${receiver.url}/hook`, rotateSecret: true },
  }), 201);
  const { uid } = ok(await shop.api('POST', 'payment-links', { json: { payload: { amount: '1.00', fiatCurrency: 'EUR' } } }), 201).paymentLink;
  for (const token of [engineToken, 'canary-of-a-wrong-engine']) {
    await send(at(`/operator/v1/payment-links/${uid}/status`), { json: { status: 'quoted' }, headers: { authorization: `Bearer ${token}` } });
  }
  await until('it arrives', () => receiver.statuses(uid).length > 0);
  await shop.api('GET', 'payment-links', { key: new Key() });
  await shop.reset({ key: new Key() });
  await shop.reset();
  await shop.refresh(before);
  await shop.refresh();
}

/** Everything that is told or kept, by the name of the place. */
async function places(secrets) {
  const { server } = here;
  const printed = await Promise.all([
    ['audit', 'list', '--limit', '100'], ['audit', 'export'], ['audit', 'verify'], ['app', 'list'], ['grant', 'list'], ['company', 'list'], ['user', 'list'],
    ['key', 'list'], ['webhook', 'endpoints'], ['webhook', 'deliveries'], ['check'],
  ].flatMap((args) => [args, [...args, '--json']]).map(async (args) => {
    const { stdout, stderr } = await run(SERVER_BIN, ['--data-dir', server.dataDir, '--config', server.config, ...args]);
    return [args.join(' '), stdout + stderr];
  }));
  const files = readdirSync(server.dataDir).map((name) => join(server.dataDir, name)).filter((path) => statSync(path).isFile());
  const { pid } = server.process.child;
  return [
    ...printed, ['metrics', (await send(`http://127.0.0.1:${metrics}/metrics`)).text],
    ...secrets.refusals.map(({ url, answer }) => [
      `the refusal of ${new URL(url).pathname}`,
      // A form that is shown again has its token, which is nobody else's.
      JSON.stringify(answer.rawHeaders.filter((_, i, all) => !/^set-cookie$/i.test(all[i - (i % 2)])))
        + answer.text.replace(/<input type="hidden"[^>]*>/g, ''),
    ]),
    ...['cmdline', 'environ'].map((name) => [name, readFileSync(`/proc/${pid}/${name}`, 'latin1')]),
    ...files.map((path) => [path, readFileSync(path, 'latin1')]),
    ['the log', readFileSync(server.process.log, 'utf8')],
  ];
}

describe('secrets', () => {
  it('are nowhere but where they belong', async () => {
    const secrets = new Secrets();
    for (const [kind, text] of [['engine token', engineToken], ['provider secret', providerSecret]]) secrets.note(kind, text);
    await people(secrets);
    await applications(secrets);
    await stores();
    for (const { headers } of receiver.seen) {
      for (const name of ['x-makepay-signature', 'makecrypto-signature']) secrets.note('signature', headers[name]?.split('v1=')[1]);
    }
    for (const kind of [
      'authorization', 'dpop', 'cookie', 'code', 'code_verifier', 'client_secret', 'refresh_token', 'access_token', 'password',
      'new_password', 'csrf', 'registrationId', 'request_uri', 'signingSecret', 'signing secret', 'signature', 'a link', 'id_token',
      'key of codes', 'recovery code', 'engine token', 'provider secret', 'ticket',
    ]) assert.ok(secrets.kinds.has(kind), `none passed: ${kind}`);
    assert.ok(secrets.refusals.length > 15);
    const searched = await places(secrets);
    for (const [place, text] of searched) assert.deepEqual(secrets.in(text), [], place);

    // The search finds what is there, and every place had something to say.
    const log = searched.at(-1)[1];
    assert.ok(secrets.in(`${log} ${engineToken}`).length === 1);
    for (const [place, text] of searched) assert.ok(text.length > 0 || /wal|environ|shm/.test(place), `${place} is empty`);
    assert.ok(log.match(/ refused /g).length > 15, 'the log tells of refusals');
    // Nobody writes lines of the log.
    const bare = log.replaceAll(/\x1b\[[0-9;]*m/g, '');
    assert.ok(bare.includes(FORGED), 'what was asked for is told');
    assert.doesNotMatch(bare, new RegExp(`^\\s*${FORGED}`, 'm'));
    for (const line of bare.split('\n').filter((one) => one.includes(FORGED))) assert.match(line, /^\d{4}-\d\d-\d\dT/);
  });
});
