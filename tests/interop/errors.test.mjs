// What refusals and trouble tell: what to do, and nothing of the inside, or of who and what there is.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { readForms } from './lib/browser.mjs';
import { ok, refused, send } from './lib/http.mjs';
import { Browser, PATIENT, world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';
import { run } from './lib/processes.mjs';
import { fieldsOf } from './lib/sign-in.mjs';

const here = world({ settings: PATIENT });
const at = (path) => `${here.server.issuer}${path}`;

/** Takes the tables out of the database of the running server, or puts them back. */
async function rename(from, to) {
  const script = `import sqlite3, sys
path, old, new = sys.argv[1:]
with sqlite3.connect(path, timeout=30) as db:
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'")]
    for name in names:
        if name.endswith(old):
            db.execute(f'ALTER TABLE "{name}" RENAME TO "{name[:len(name) - len(old)]}{new}"')
`;
  const { code, stderr } = await run('python3', ['-c', script, `${here.server.dataDir}/counterfoil.db`, from, to]);
  assert.equal(code, 0, stderr);
}

/** Words of ours that nobody outside needs: the database's, the language's, the program's, a version. */
const INSIDE = /sqlite|\bsql\b|table|column|_away|constraint|panick|backtrace|\.rs\b|src\/|unwrap|rusqlite|tokio|axum|hyper|\/tmp\/|\b\d+\.\d+\.\d+\b/i;

function isDiscreet(answer, note) {
  const text = answer.text.replaceAll(here.server.issuer, '').replace(/<style[\s\S]*?<\/style>/g, '');
  assert.doesNotMatch(text, INSIDE, note);
  for (const name of ['server', 'x-powered-by', 'via']) assert.equal(answer.headers[name], undefined, `${note} ${name}`);
}

describe('trouble of the server\'s own', () => {
  it('is told as such, with when to try again, and what caused it stays inside', async () => {
    const app = await App.register(here.server);
    const shop = new Store(here.server, 'wordpress');
    await shop.connect(here.browser);
    const { access_token: token } = ok(await app.token(await app.authorize(here.browser)));
    const grant = await app.authorize(here.browser);
    const { request_uri: uri } = ok(await app.push(app.request().parameters), 201);
    const everything = () => ({
      'a code': app.token(grant), 'a renewal': shop.refresh(), 'a pushed request': app.push(app.request().parameters),
      revocation: app.revoke(token), introspection: app.introspect(token), registration: new Store(here.server, 'medusa').register(),
      reset: shop.reset(), 'a call': send(`${here.server.audience}/company`, { headers: { authorization: `Bearer ${token}` } }),
      'a call of a store': shop.api('GET', 'payment-links'),
    });
    const pages = () => ({
      'an authorization request': here.browser.load(app.url({ client_id: app.id, request_uri: uri })),
      'a page': here.browser.load(at('/account')),
    });
    await rename('', '_away');
    try {
      for (const [name, asked] of Object.entries(everything())) {
        const answer = await asked;
        refused(answer, 503, 'temporarily_unavailable', name);
        assert.equal(answer.headers['retry-after'], '1', name);
        assert.match(answer.json.error_description, /try again/, name);
        isDiscreet(answer, name);
      }
      for (const [name, asked] of Object.entries(pages())) {
        const answer = await asked;
        assert.equal(answer.status, 503, name);
        assert.equal(answer.location, undefined, name);
        assert.match(answer.headers['content-type'], /^text\/html/, name);
        isDiscreet(answer, name);
      }
    } finally {
      await rename('_away', '');
    }
    // Nothing was used up by what could not be done.
    ok(await app.token(grant));
    await here.browser.approve(app.url({ client_id: app.id, request_uri: uri }));
    await shop.stillWorks();
  });
});

describe('refusals', () => {
  it('tell nothing of the inside', async () => {
    const app = await App.register(here.server);
    const odd = ['\'', '"; DROP TABLE client; --', '../../etc/passwd', '{{7*7}}', '%s%n', '\u0000', '\ud83d\ude00', 'x'.repeat(3_000)];
    for (const text of odd) {
      const note = text.slice(0, 20);
      for (const endpoint of ['token', 'par', 'revoke', 'introspect']) {
        for (const headers of [app.credentials, {}]) {
          const form = { grant_type: text, client_id: text, code: text, token: text, redirect_uri: text, scope: text };
          const answer = await send(app.at(`/oauth/${endpoint}`), { form, headers });
          assert.ok(answer.status < 500, `${endpoint} ${note}: ${answer.status}`);
          isDiscreet(answer, `${endpoint} ${note}`);
        }
      }
      const { url } = app.request({ client_id: text });
      for (const answer of [
        await send(url), await new Store(here.server, 'medusa').register({ siteUrl: text }),
        await send(`${here.server.audience}/company`, { headers: { authorization: `Bearer ${encodeURIComponent(text)}` } }),
        await send(`${here.server.audience}/${encodeURIComponent(text)}`),
        await here.browser.load(at(`/companies/${encodeURIComponent(text)}/applications`)),
      ]) {
        assert.ok(answer.status >= 400 && answer.status < 500, `${note}: ${answer.status}`);
        isDiscreet(answer, note);
      }
    }
  });

  it('tell nobody who has an account', async () => {
    const post = async (path, fields) => {
      const stranger = new Browser();
      const form = readForms((await stranger.load(at(path))).text).find((one) => one.action === path);
      const { answer } = await stranger.visit(at(path), { method: 'POST', form: { ...fieldsOf(form), ...fields } });
      const hidden = answer.text.replace(/<input type="hidden"[^>]*>/g, '').replaceAll(fields.email, 'ADDRESS');
      return `${answer.status} ${hidden}`;
    };
    for (const [path, more] of [['/sign-in', { password: 'a wrong password' }], ['/forgotten-password', {}]]) {
      const texts = await Promise.all(
        [here.merchant.email, 'nobody@shop.example', 'merchant@shop.example.evil'].map((email) => post(path, { email, ...more })),
      );
      assert.equal(new Set(texts).size, 1, texts.join('\n'));
    }
  });
});
