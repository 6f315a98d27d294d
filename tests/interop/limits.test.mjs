// Rate limits: what is counted, by whom, and that others do not suffer.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, it } from 'node:test';

import { App } from './lib/app.mjs';
import { Browser, readForms } from './lib/browser.mjs';
import { Talk, ok, send } from './lib/http.mjs';
import { UNTHROTTLED, world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const ALLOWED = 12;
const here = world({
  settings: `[limits]
registrations_per_minute = ${ALLOWED}
token_requests_per_minute = ${ALLOWED}
pushed_requests_per_minute = ${ALLOWED}
introspections_per_minute = ${ALLOWED}
sign_in_failures_per_minute = 5
`,
});

/** Sends until it is too much; answers how many got through. */
async function exhaust(request) {
  for (let sent = 0; sent < 4 * ALLOWED; sent += 1) {
    const answer = await request(sent);
    if (answer.status === 429) {
      assert.match(answer.headers['retry-after'], /^[1-9]\d*$/);
      if (answer.headers['content-type'].startsWith('application/json')) assert.match(answer.json.error, /^[a-z_]+$/);
      return sent;
    }
  }
  return assert.fail('nothing was too much');
}

const near = (sent) => assert.ok(sent >= ALLOWED && sent <= 2 * ALLOWED, `${sent} got through`);

describe('too many', () => {
  it('token requests of one client do not hinder another', async () => {
    const [app, other] = [await App.register(here.server), await App.register(here.server, { name: 'Other' })];
    const request = (client) => client.token({ grant_type: 'client_credentials' });
    near(await exhaust(() => request(app)));
    ok(await request(other));
  });

  it('pushed requests of one client do not hinder another', async () => {
    const [app, other] = [await App.register(here.server), await App.register(here.server, { name: 'Other' })];
    near(await exhaust(() => app.push(app.request().parameters)));
    ok(await other.push(other.request().parameters), 201);
  });

  it('introspections by one client do not hinder another', async () => {
    const [app, other] = [await App.register(here.server), await App.register(here.server, { name: 'Other' })];
    near(await exhaust(() => app.introspect('x')));
    ok(await other.introspect('x'));
  });

  it('registrations are counted by the real address', async () => {
    const shop = () => new Store(here.server, 'btcpay-server');
    near(await exhaust((sent) => shop().register({ headers: {
      'x-forwarded-for': `192.0.2.${sent}`, forwarded: `for=192.0.2.${sent}`,
    } })));
  });

  it('guesses slow down, sign-ins do not', async () => {
    const app = await App.register(here.server);
    const attempt = async (person) => {
      const guest = new Browser(person);
      const page = await guest.visit(app.request().url);
      const form = readForms(page.answer.text).find(({ fields }) => fields.some(({ name }) => name === 'password'));
      const done = await guest.submit({ ...page, form }, form);
      return done.answer;
    };
    for (let time = 0; time < 10; time += 1) assert.equal((await attempt(here.merchant)).status, 200);
    const guess = { email: here.merchant.email, password: 'a wrong password' };
    const sent = await exhaust(() => attempt(guess));
    assert.ok(sent >= 5 && sent <= 10, `${sent} got through`);
    assert.equal((await send(`${here.server.issuer}/healthz`)).status, 200);
  });
});

describe('connections that say nothing', () => {
  // As many as a system allows at first: this process has raised its own limit to what it may be.
  const [, most] = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  const files = Math.min(Number(most), 4_096);
  const IDLE = Math.min(2_000, files - 400);
  const crowded = world({
    settings: `${UNTHROTTLED}head_seconds = 120\nbody_seconds = 120\n`,
    wrapper: ['/usr/bin/prlimit', `--nofile=512:${files}`],
  });

  it('two thousand of them hinder nobody', async () => {
    const { issuer } = crowded.server;
    const app = await App.register(crowded.server);
    const { hostname, port } = new URL(issuer);
    const head = (path, more) => `POST ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n${more}`;
    const form = 'Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 500\r\n\r\n';
    const beginnings = [
      '', 'P', head('/oauth/par', ''), head('/oauth/token', 'X-Slow: '), head('/oauth/par', `${form}response_type=`),
      head('/oauth/token', `${form}grant_type=client_credentials`),
    ];
    const sockets = [];
    try {
      while (sockets.length < IDLE) {
        const some = Array.from({ length: Math.min(100, IDLE - sockets.length) }, () => connect(Number(port), hostname));
        sockets.push(...some);
        await Promise.all(some.map((socket) => once(socket, 'connect')));
        some.forEach((socket, at) => socket.write(beginnings[at % beginnings.length]));
      }
      const grant = await app.authorize(crowded.browser);
      ok(await app.token(grant));
      ok(await app.push(app.request().parameters), 201);
      const shop = new Store(crowded.server, 'wordpress');
      await shop.connect(crowded.browser);
      await shop.stillWorks();
      assert.ok(sockets.every(({ closed }) => !closed), 'all of them are still there');
    } finally {
      sockets.forEach((socket) => socket.on('error', () => {}).destroy());
    }
  });
});

describe('requests that never end', () => {
  // One is hasty about heads, the other about bodies: whoever reads of a body has had time for its head.
  const [heads, bodies] = ['head', 'body'].map((part) => world({ settings: `[limits]\n${part}_seconds = 1\n` }));
  const slow = async ({ server }, [head, trickle]) => {
    const talk = await Talk.with(server.issuer);
    talk.write(head);
    const dripping = trickle ? setInterval(() => talk.write(trickle), 100) : undefined;
    try {
      return await talk.ended();
    } finally {
      clearInterval(dripping);
    }
  };
  const all = (at, requests) => Promise.all(requests.map((request) => slow(at, request)));
  const post = (path) => `POST ${path} HTTP/1.1\r\nHost: a\r\n`;

  it('are ended while their head comes, however busily it trickles', async () => {
    const begun = ['par', 'token'].map((name) => [post(`/oauth/${name}`), 'X: y\r\n']);
    const unread = await all(heads, [['', ''], ['P', ''], ['P', 'O'], ['\r\n', ''], ...begun]);
    // What is sent to a connection that has ended may cost its last answer.
    for (const said of unread) assert.match(said, /^(HTTP\/1\.1 4\d\d |$)/);
  });

  it('are ended while their body comes', async () => {
    const form = 'Content-Type: application/x-www-form-urlencoded\r\n';
    const requests = ['par', 'token', 'revoke', 'introspect', 'native/installations'].flatMap((name) => {
      const json = name.startsWith('native') ? 'Content-Type: application/json\r\n' : form;
      return ['Content-Length: 5000\r\n\r\n', 'Transfer-Encoding: chunked\r\n\r\n'].map(
        (framing) => [`${post(`/oauth/${name}`)}${json}${framing}`, framing.startsWith('T') ? '1\r\nx\r\n' : 'x'],
      );
    });
    const silent = requests.map(([head, trickle]) => [`${head}${trickle}`, '']);
    const [unfinished, refused] = await Promise.all([requests, silent].map((some) => all(bodies, some)));
    for (const said of unfinished) assert.match(said, /^(HTTP\/1\.1 408 |$)/);
    for (const said of refused) assert.match(said, /^HTTP\/1\.1 408 [\s\S]*"invalid_request"/);
  });
});

describe('answers that nobody takes', () => {
  const hurried = world({ settings: '[limits]\nwrite_seconds = 1\n' });
  const request = 'GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: a\r\n\r\n';

  it('are given up, and whoever reads gets his', async () => {
    const { hostname, port } = new URL(hurried.server.issuer);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    socket.pause();
    // Far more answers than the system keeps on the way, and requests that wait behind them.
    const gone = new Promise((resolve) => { socket.on('error', resolve); });
    for (let sent = 0; sent < 200_000 && !socket.destroyed; sent += 1_000) socket.write(request.repeat(1_000));
    assert.match((await gone).code, /^(EPIPE|ECONNRESET)$/);
    ok(await send(`${hurried.server.issuer}/.well-known/oauth-authorization-server`));
  });
});
