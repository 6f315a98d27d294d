// Rate limits and stores, whose ids are no secret: strangers must not use up what a store may send.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Key } from './lib/dpop.mjs';
import { ok, refused, send } from './lib/http.mjs';
import { world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';

const ALLOWED = 12;
const here = world({
  settings: `[limits]
token_requests_per_minute = ${ALLOWED}
pushed_requests_per_minute = ${ALLOWED}
`,
});

const push = (shop, key) => {
  const url = shop.at('/oauth/par');
  return send(url, { form: shop.request({ key }).parameters, headers: { dpop: key.proof('POST', url) } });
};

describe('whoever knows the id of a store', () => {
  it('does not use up what the store may send', async () => {
    const shop = new Store(here.server, 'wordpress');
    await shop.connect(here.browser);
    const stranger = new Key();
    for (let sent = 0; sent < 2 * ALLOWED; sent += 1) {
      refused(await shop.refresh('mco_rt_x', { proof: sent % 2 ? 'x' : null }), 400, 'invalid_dpop_proof');
      refused(await shop.refresh('mco_rt_x', { key: stranger }), [400, 429], ['invalid_grant', 'too_many_requests']);
      refused(await push(shop, stranger), [400, 429], ['invalid_dpop_proof', 'too_many_requests']);
    }
    await shop.stillWorks();
    ok(await push(shop, shop.key), 201);
  });

  it('cannot have the server serve a key without end either', async () => {
    const [shop, stranger] = [new Store(here.server, 'wordpress'), new Key()];
    await shop.enrol();
    let [sent, answer] = [0, await push(shop, stranger)];
    // Whoever is slow is allowed a few more meanwhile.
    while (answer.status !== 429 && sent < 4 * ALLOWED) {
      refused(answer, 400, 'invalid_dpop_proof');
      sent += 1;
      answer = await push(shop, stranger);
    }
    refused(answer, 429, 'too_many_requests');
    assert.ok(sent >= ALLOWED, `${sent} got through`);
  });
});
