// The platform's own payment engine, over real HTTP: it reports how payments move, stores read it and are told, each
// step once and in order; and what it must not do is refused.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

import { random } from './lib/dpop.mjs';
import { ok, send } from './lib/http.mjs';
import { world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';
import { temporaryDirectory, until } from './lib/processes.mjs';
import { Receiver, verified } from './lib/receiver.mjs';

const TOKEN = random();
const directory = temporaryDirectory();
const file = join(directory.path, 'engine.token');
writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
after(() => directory.remove());

let to;
let store;
let secret;
const here = world({ settings: `[engine]\ntoken_file = "${file}"\n`, after: () => to?.stop() }, async () => {
  to = await Receiver.start();
  store = new Store(here.server, 'wordpress');
  await store.connect(here.browser);
  const json = { active: true, events: ['makepay.payment.*'], url: `${to.url}/hook` };
  ({ signingSecret: secret } = ok(await store.api('PUT', 'webhook-subscriptions/current', { json }), 201));
});

const link = async () => {
  const payload = { amount: '49.90', fiatCurrency: 'EUR', orderId: '1001' };
  return ok(await store.api('POST', 'payment-links', { json: { payload } }), 201).paymentLink.uid;
};

const report = (uid, json, { token = TOKEN, key, ...headers } = {}) => send(
  `${here.server.address}/operator/v1/payment-links/${uid}/status`,
  {
    json,
    headers: {
      ...(token && { authorization: `Bearer ${token}` }), ...(key && { 'idempotency-key': key }), ...headers,
    },
  },
);

/** Reports each step; all are taken, and the store is told of each of them, in order. */
async function story(uid, steps) {
  for (const step of steps) {
    const answer = await report(uid, step);
    const { ok: good, changed, paymentLink } = ok(answer);
    assert.deepEqual([good, changed, paymentLink.uid, paymentLink.latestSession.status], [true, true, uid, step.status]);
    assert.equal(answer.headers['cache-control'], 'no-store');
  }
  const statuses = steps.map(({ status }) => status);
  await until(`${uid} is told`, () => to.statuses(uid).length >= steps.length);
  assert.deepEqual(to.statuses(uid), statuses);
  const told = to.seen.filter(({ json }) => json.paymentLink.uid === uid);
  told.forEach((delivery, i) => {
    assert.ok(verified(delivery, secret));
    const { session } = delivery.json;
    assert.equal(session.previousStatus, i ? statuses[i - 1] : null);
    const known = steps.slice(0, i + 1).findLast(({ amount }) => amount !== undefined)?.amount ?? null;
    assert.equal(session.amount, known, `${statuses[i]} says what was received`);
    assert.equal(session.id, told[0].json.session.id, 'one attempt');
  });
  assert.equal(new Set(told.map(({ json }) => json.deliveryGroupId)).size, told.length);
  return told.map(({ json }) => json);
}

const refused = (answer, status, code) => {
  assert.deepEqual([answer.status, answer.json.error], [status, code], answer.text);
  assert.ok(answer.json.error_description?.length > 10, 'and a sentence says why');
};

describe('the payment engine', () => {
  it('reports a payment from its price to its end, and the store hears each step with its amount', async () => {
    const uid = await link();
    const settlement = { phase: 'sent', settledAmount: '54.10', settledAsset: 'ETH.USDT', classification: 'matched' };
    const told = await story(uid, [
      { status: 'quoted', sessionId: 'engine-17' },
      { status: 'awaiting_deposit', sessionId: 'engine-17' },
      { status: 'pending' },
      { status: 'underpaid', amount: '20.00' },
      { status: 'deposit_received', amount: '49.90' },
      { status: 'swapping' },
      { status: 'sending' },
      { status: 'complete', settlement },
    ]);
    assert.equal(told[0].session.id, 'engine-17');
    assert.deepEqual(told.at(-1).session.settlement, settlement);
    const read = ok(await store.api('GET', `payment-links/${uid}`)).paymentLink.latestSession;
    assert.deepEqual([read.id, read.status, read.amount], ['engine-17', 'complete', '49.90']);
  });

  it('reports what failed and what came to nothing, and late money all the same', async () => {
    await story(await link(), [{ status: 'quoted' }, { status: 'pending' }, { status: 'failed' }]);
    await story(await link(), [
      { status: 'quoted' }, { status: 'expired' }, { status: 'deposit_received', amount: '49.90' }, { status: 'complete' },
    ]);
    // After an attempt that failed comes another, under a name of its own.
    const uid = await link();
    ok(await report(uid, { status: 'failed', sessionId: 'first' }));
    refused(await report(uid, { status: 'quoted', sessionId: 'first' }), 409, 'illegal_transition');
    const second = ok(await report(uid, { status: 'quoted', sessionId: 'second' })).paymentLink.latestSession;
    assert.deepEqual([second.id, second.previousStatus], ['second', null]);
    refused(await report(uid, { status: 'complete', sessionId: 'first' }), 409, 'payment_session_conflict');
  });

  it('is nobody else', async () => {
    const uid = await link();
    for (const token of ['', random(), TOKEN.slice(1), `${TOKEN}x`, store.tokens.access_token]) {
      const answer = await report(uid, { status: 'complete' }, { token });
      refused(answer, 401, 'invalid_token');
      assert.equal(answer.headers['www-authenticate'], 'Bearer');
    }
    const read = ok(await store.api('GET', `payment-links/${uid}`)).paymentLink;
    assert.equal(read.latestSession, null);
    assert.deepEqual(to.statuses(uid), []);
  });

  it('takes no step back, and says so', async () => {
    const uid = await link();
    ok(await report(uid, { status: 'complete', amount: '49.90' }));
    for (const status of ['quoted', 'sending', 'failed', 'expired', 'cancelled', 'underpaid']) {
      const answer = await report(uid, { status });
      refused(answer, 409, 'illegal_transition');
      assert.match(answer.json.error_description, new RegExp(`complete does not become ${status}`));
    }
    refused(await report('pl_unknown', { status: 'complete' }), 404, 'payment_link_not_found');
    for (const wrong of [
      {}, { status: 'paid' }, { status: 'complete', amount: 'much' }, { status: 'complete', amount: '-1' },
      { status: 'complete', settlement: { phase: 'lost' } }, { status: 'complete', more: 1 },
    ]) refused(await report(uid, wrong), 400, 'invalid_payment_report');
    const archived = await link();
    ok(await store.api('PATCH', `payment-links/${archived}`, { json: { status: 'archived' } }));
    refused(await report(archived, { status: 'quoted' }), 409, 'payment_link_archived');
    await until('it is told', () => to.statuses(uid).length > 0);
    assert.deepEqual(to.statuses(uid), ['complete']);
  });

  it('hears the same answer again under the same Idempotency-Key, and moves nothing twice', async () => {
    const uid = await link();
    const key = `engine:${uid}:1`;
    const first = await report(uid, { status: 'quoted' }, { key });
    ok(await report(uid, { status: 'complete', amount: '49.90' }, { key: `engine:${uid}:2` }));
    // The answer was lost, and the payment has moved on since.
    const again = await report(uid, { status: 'quoted' }, { key });
    assert.deepEqual([again.status, again.text], [200, first.text]);
    assert.deepEqual([first, again].map(({ headers }) => headers['idempotent-replayed']), [undefined, 'true']);
    refused(await report(uid, { status: 'quoted' }), 409, 'illegal_transition');
    refused(await report(uid, { status: 'failed' }, { key }), 409, 'idempotency_key_conflict');
    refused(await report(await link(), { status: 'quoted' }, { key }), 409, 'idempotency_key_conflict');
    refused(await report(uid, { status: 'quoted' }, { key: 'short' }), 400, 'invalid_idempotency_key');
    assert.equal((await report(uid, { status: 'quoted' }, { key, token: random() })).status, 401);
    // What changed nothing is answered alike, too; without a key the same report changes nothing either.
    const same = { status: 'complete', amount: '49.90' };
    assert.equal(ok(await report(uid, same)).changed, false);
    const unchanged = await report(uid, same, { key: `engine:${uid}:3` });
    assert.equal(ok(unchanged).changed, false);
    assert.equal((await report(uid, same, { key: `engine:${uid}:3` })).text, unchanged.text);
    // Twenty at once: one moves it.
    const other = await link();
    const all = await Promise.all(Array.from({ length: 20 }, () => report(other, { status: 'quoted' }, { key: `engine:${other}` })));
    assert.deepEqual(new Set(all.map(({ text }) => text)).size, 1);
    assert.equal(all.filter(({ headers }) => headers['idempotent-replayed'] === undefined).length, 1);
    ok(await report(other, { status: 'expired' }));
    await until('both are told', () => to.statuses(uid).length >= 2 && to.statuses(other).length >= 2);
    assert.deepEqual(to.statuses(uid), ['quoted', 'complete']);
    assert.deepEqual(to.statuses(other), ['quoted', 'expired']);
  });
});
