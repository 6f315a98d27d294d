// Every wrong proof at every endpoint that takes one; then replays, doubled headers, and proofs that only look wrong.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { BAD_PROOFS, BAD_WITHOUT_TOKEN, BAD_WITH_TOKEN, GOOD_PROOFS, knobsFor } from './lib/bad-proofs.mjs';
import { Key, malleateProof, random } from './lib/dpop.mjs';
import { challenged, ok, refused, send } from './lib/http.mjs';
import { UNTHROTTLED, world } from './lib/kit.mjs';
import { Store } from './lib/native.mjs';
import { Watched } from './lib/watched.mjs';

const here = world({ settings: UNTHROTTLED }, prepare);
let shop;

async function prepare() {
  shop = new Store(here.server, 'btcpay-server');
  await shop.connect(here.browser);
}

const places = {
  token: {
    method: 'POST', path: '/oauth/token', status: 400, bad: BAD_WITHOUT_TOKEN,
    send: (proof, headers) => shop.refresh(undefined, { proof, headers }),
  },
  registration: {
    method: 'POST', path: '/oauth/native/installations', status: 400, bad: BAD_WITHOUT_TOKEN,
    send: (proof, headers) => shop.register({ proof, headers }),
  },
  'pushed request': {
    method: 'POST', path: '/oauth/par', status: 400, bad: BAD_WITHOUT_TOKEN,
    send: (proof, headers) => send(shop.at('/oauth/par'), {
      form: shop.request().parameters, headers: { dpop: proof ?? undefined, ...headers },
    }),
  },
  'partner API': {
    method: 'GET', path: '/api/partner/v1/makepay/payment-links', status: 401, bad: BAD_WITH_TOKEN,
    send: (proof, headers) => shop.api('GET', 'payment-links', { proof, headers }),
  },
  reset: {
    method: 'DELETE', path: '/oauth/native/installations', status: 401, bad: BAD_WITH_TOKEN,
    send: (proof, headers) => shop.reset({ headers: {
      ...(proof !== undefined && { dpop: proof ?? undefined }), ...headers,
    } }),
  },
};

function proofFor({ method, path, status }, knobs = {}) {
  const url = shop.at(path);
  const token = status === 401 ? shop.tokens.access_token : undefined;
  return shop.key.proof(method, url, { token, ...knobsFor(knobs, { key: shop.key, url, token }) });
}

function expectRefusal(answer, { status }, code, note) {
  refused(answer, status, code, note);
  if (status === 401) challenged(answer, code, note);
  if (code === 'use_dpop_nonce') assert.match(answer.headers['dpop-nonce'], /^[\x21\x23-\x5b\x5d-\x7e]+$/, note);
}

for (const [name, place] of Object.entries(places)) {
  describe(`a wrong proof: ${name}`, () => {
    for (const [wrong, knobs, code = 'invalid_dpop_proof'] of [...BAD_PROOFS, ...place.bad]) {
      it(wrong, async () => expectRefusal(await place.send(proofFor(place, knobs)), place, code, wrong));
    }

    it('none at all', async () => expectRefusal(await place.send(null), place, 'invalid_dpop_proof', 'none'));

    it('two headers', async () => {
      const one = proofFor(place);
      const pairs = {
        'two good ones': [one, proofFor(place)], 'the same twice': [one, one], 'good and bad': [one, 'x'],
        'bad and good': ['x', one], 'good and empty': [one, ''],
      };
      for (const [what, dpop] of Object.entries(pairs)) {
        expectRefusal(await place.send(undefined, { dpop }), place, 'invalid_dpop_proof', what);
      }
      expectRefusal(await place.send(`${one}, ${proofFor(place)}`), place, 'invalid_dpop_proof', 'joined by a comma');
    });

    it('64 kB', async () => {
      const answer = await place.send(`${proofFor(place)}${'A'.repeat(65_536)}`);
      assert.ok([place.status, 431].includes(answer.status), `${answer.status}`);
    });

    it('leaves everything as it was', () => shop.stillWorks());
  });
}

describe('a right proof', () => {
  for (const [unusual, knobs] of GOOD_PROOFS) {
    it(unusual, async () => {
      for (const name of ['registration', 'partner API']) {
        const answer = await places[name].send(proofFor(places[name], knobs));
        assert.equal(answer.status, 200, `${name}: ${answer.text}`);
      }
    });
  }

  it('in a header of any case', async () => {
    for (const name of ['DPoP', 'DPOP', 'dPoP']) {
      ok(
        await shop.api('GET', 'payment-links', { proof: null, headers: { [name]: proofFor(places['partner API']) } }),
        200, name,
      );
    }
  });
});

describe('a proof played again', () => {
  const api = places['partner API'];

  for (const [name, place] of Object.entries(places).filter(([key]) => key !== 'reset')) {
    it(`at: ${name}`, async () => {
      const proof = proofFor(place);
      const first = await place.send(proof);
      assert.ok(first.status < 300, first.text);
      if (name === 'token') shop.tokens = { ...shop.tokens, ...first.json };
      expectRefusal(await place.send(proof), place, 'invalid_dpop_proof', name);
      expectRefusal(await place.send(malleateProof(proof)), place, 'invalid_dpop_proof', 'with the other signature');
    });
  }

  it('with another query', async () => {
    const proof = proofFor(api);
    ok(await api.send(proof));
    expectRefusal(await shop.api('GET', 'payment-links?limit=1', { proof }), api, 'invalid_dpop_proof');
  });

  it('many times at once: one wins', async () => {
    const proof = proofFor(api);
    const answers = await Promise.all(Array.from({ length: 12 }, () => api.send(proof)));
    const statuses = answers.map(({ status }) => status).sort();
    assert.deepEqual(statuses, [200, ...Array(11).fill(401)]);
  });

  it('after kill -9', async () => {
    const proofs = [proofFor(api), proofFor(places.registration)];
    ok(await api.send(proofs[0]));
    ok(await places.registration.send(proofs[1]));
    await here.server.restart();
    expectRefusal(await api.send(proofs[0]), api, 'invalid_dpop_proof');
    expectRefusal(await places.registration.send(proofs[1]), places.registration, 'invalid_dpop_proof');
    await shop.stillWorks();
  });

  it('does not keep another key from the same jti, nor a refused proof its own', async () => {
    const other = new Store(here.server, 'btcpay-server');
    await other.connect(here.browser);
    const jti = random();
    ok(await other.api('GET', 'payment-links', { knobs: { claims: { jti } } }));
    ok(await shop.api('GET', 'payment-links', { knobs: { claims: { jti } } }));
    const next = random();
    expectRefusal(
      await shop.api('GET', 'payment-links', { knobs: { claims: { jti: next, htm: 'PUT' } } }), api,
      'invalid_dpop_proof',
    );
    ok(await shop.api('GET', 'payment-links', { knobs: { claims: { jti: next } } }));
  });
});

describe('a key that is somewhere else', () => {
  it('is not fetched', async () => {
    const watched = await Watched.start();
    for (const place of Object.values(places)) {
      for (const name of ['jku', 'x5u']) {
        for (const scheme of ['http', 'https']) {
          const elsewhere = `${scheme}://${watched.host}/jwks.json`;
          const knobs = { header: { jwk: undefined, kid: 'k1', [name]: elsewhere } };
          expectRefusal(await place.send(proofFor(place, knobs)), place, 'invalid_dpop_proof', `${place.path} ${name}`);
        }
      }
    }
    // Beside a key of its own such a name is one more member, which nobody reads.
    ok(await places['partner API'].send(proofFor(places['partner API'], ({ key }) => ({
      header: { jwk: { ...key.jwk, x5u: `http://${watched.host}/` }, jku: `http://${watched.host}/jwks.json` },
    }))));
    await shop.stillWorks();
    assert.equal(await watched.visits(), 0);
    watched.stop();
  });
});

describe('a proof in the body or the query', () => {
  const unheard = async (name, query, sent, code = 'invalid_dpop_proof') => {
    const { path, method, status } = places[name];
    const headers = status === 401 ? { authorization: `DPoP ${shop.tokens.access_token}` } : {};
    const answer = await send(`${shop.at(path)}${query}`, { method, headers, ...sent });
    expectRefusal(answer, places[name], code, `${name} ${query}`);
  };

  it('is none', async () => {
    const twice = (place) => ({ DPoP: proofFor(place), dpop: proofFor(place) });
    const refresh = {
      grant_type: 'refresh_token', refresh_token: shop.tokens.refresh_token, client_id: shop.clientId,
    };
    await unheard('token', '', { form: { ...refresh, ...twice(places.token) } });
    await unheard('registration', '', { json: { ...shop.registration(), ...twice(places.registration) } });
    const pushed = { ...shop.request().parameters, ...twice(places['pushed request']) };
    await unheard('pushed request', '', { form: pushed });
    const query = (name) => `?${new URLSearchParams(twice(places[name]))}`;
    await unheard('token', query('token'), { form: refresh }, 'invalid_request');
    await unheard('registration', query('registration'), { json: shop.registration() });
    await unheard('partner API', query('partner API'), {});
    await shop.stillWorks();
  });
});

describe('a refusal at the partner API', () => {
  it('comes with a nonce, whatever it is for, and a proof with that nonce is taken', async () => {
    const stranger = new Key();
    const refusals = [
      await shop.api('GET', 'payment-links', { proof: null }), await shop.api('GET', 'payment-links', { token: 'x' }),
      await shop.api('GET', 'payment-links', { key: stranger }),
      await send(shop.at('/api/partner/v1/makepay/payment-links')),
    ];
    for (const answer of refusals) {
      assert.equal(answer.status, 401, answer.text);
      assert.match(answer.headers['dpop-nonce'], /^[\x21\x23-\x5b\x5d-\x7e]+$/);
      ok(await shop.api('GET', 'payment-links', { knobs: { nonce: answer.headers['dpop-nonce'] } }));
    }
  });
});

describe('where a proof is expected from', () => {
  const lies = (host) => ({
    'x-forwarded-host': host, 'x-forwarded-proto': 'https', 'x-forwarded-port': '443',
    forwarded: `host=${host};proto=https`, 'x-original-url': '/oauth/token',
  });

  it('is the configuration, whatever the headers say', async () => {
    const { method, path } = places.token;
    for (const [host, scheme] of [['evil.example', 'http'], ['evil.example', 'https']]) {
      const proof = shop.key.proof(method, `${scheme}://${host}${path}`);
      refused(await shop.refresh(undefined, { proof, headers: lies(host) }), 400, 'invalid_dpop_proof');
      const answer = await shop.refresh(undefined, { proof, headers: { host } });
      assert.ok([400, 421].includes(answer.status), answer.text);
    }
    ok(await shop.api('GET', 'payment-links', { headers: lies('evil.example') }));
    await shop.stillWorks();
  });

  it('is one endpoint alone', async () => {
    const stranger = new Key();
    refused(await shop.refresh(undefined, { proof: proofFor(places.registration) }), 400, 'invalid_dpop_proof');
    refused(await shop.refresh(undefined, { key: stranger }), 400, 'invalid_dpop_proof');
    await shop.stillWorks();
  });
});
