// The vectors, judged a second time by code that shares nothing with the Rust.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { createLocalJWKSet } from 'jose';

import {
  admitsCallback, canonicalScope, canonicalUri, hashOf, judgeAccessToken, judgeDelivery, judgeKey, judgeOwnership,
  judgeProof, judgeRedirect, judgeVerifier,
} from './lib/judges.mjs';
import { nodeRecipe, phpRecipe } from './lib/recipes.mjs';
import { readVectors, vectorFiles } from './lib/vectors.mjs';

const caller = await nodeRecipe();
const numbers = (record, ...names) => ({
  ...record, ...Object.fromEntries(names.map((name) => [name, Number(record[name])])),
});
const orNothing = (canonical) => (canonical === null ? { cause: undefined, refused: true } : { canonical });
const admitted = (yes) => (yes ? {} : { refused: true });

/** Per file: the keys it may have, the judge, and the keys whose values an accepted one must yield. */
const PROOF = {
  keys: [
    'method', 'url', 'now', 'window', 'access_token', 'nonce', 'nonce_required', 'proof', 'jkt', 'jti', 'iat',
    'successor',
  ],
  yields: ['jkt', 'jti', 'iat', 'successor'],
  judge: (record) => judgeProof(numbers(record, 'now')),
};

const FILES = {
  'access-token.txt': {
    keys: ['issuer', 'audience', 'client_id', 'jkt', 'scope', 'now', 'replayed', 'jwks', 'token'],
    judge: (record) => judgeAccessToken(numbers(record, 'now')),
  },
  'callback.txt': { keys: ['site', 'rule', 'callback'], judge: (record) => admitted(admitsCallback(record)) },
  'dpop-proof-rfc9449.txt': PROOF,
  'dpop-proof.txt': PROOF,
  'http-uri.txt': {
    keys: ['uri', 'canonical'], yields: ['canonical'], judge: ({ uri }) => orNothing(canonicalUri(uri)),
  },
  'identity.txt': {
    keys: ['issuer', 'upstream', 'now', 'jwks', 'method', 'url', 'body', 'identity'], causes: false,
    judge: async (record) => admitted(await caller(record, {
      issuer: record.issuer, upstream: record.upstream, keys: createLocalJWKSet(JSON.parse(record.jwks)),
      now: new Date(Number(record.now) * 1000),
    }).then(() => true, () => false)),
  },
  'jwk-thumbprint.txt': {
    keys: ['canonical', 'jwk', 'thumbprint'], yields: ['thumbprint'],
    judge: ({ canonical, jwk }) => (canonical ? { thumbprint: hashOf(canonical) } : judgeKey(JSON.parse(jwk))),
  },
  'ownership.txt': {
    keys: ['issuer', 'client_id', 'site_url', 'nonce', 'now', 'jkt', 'answer'],
    judge: (record) => judgeOwnership(numbers(record, 'now')),
  },
  'pkce.txt': { keys: ['verifier', 'challenge'], judge: judgeVerifier },
  'redirect-uri.txt': { keys: ['registered', 'presented', 'native'], judge: judgeRedirect },
  'scope.txt': {
    keys: ['scope', 'canonical'], yields: ['canonical'], judge: ({ scope }) => orNothing(canonicalScope(scope)),
  },
  'webhook.txt': {
    keys: ['secret', 'header', 'headers', 'body', 'now', 'tolerance'],
    judge: (record) => judgeDelivery(numbers(record, 'now', 'tolerance')),
  },
};

async function check(record, { judge, yields = [], causes = true }) {
  const verdict = await judge(record);
  if (record.expect === 'refused') {
    assert.ok(verdict.cause !== undefined || verdict.refused, 'accepted');
    if (causes && record.cause !== undefined) assert.equal(verdict.cause, record.cause);
    return;
  }
  assert.equal(verdict.cause, undefined);
  assert.ok(!verdict.refused, 'refused');
  for (const key of yields) assert.equal(verdict[key], record[key], key);
}

it('every file is read', () => {
  assert.deepEqual(vectorFiles(), Object.keys(FILES).sort());
});

for (const [file, rules] of Object.entries(FILES)) {
  describe(file, () => {
    for (const record of readVectors(file, rules.keys)) it(record.name, () => check(record, rules));
  });
}

it('the malleated proof is the plain one played again', () => {
  const proofs = readVectors('dpop-proof.txt', PROOF.keys);
  const [plain, malleated] = [
    'plain', 'signature-malleated',
  ].map((name) => proofs.find((record) => record.name === name));
  assert.notEqual(plain.proof, malleated.proof);
  assert.deepEqual([plain.jkt, plain.jti], [malleated.jkt, malleated.jti]);
});

it('identities are judged in PHP as well', async () => {
  const records = readVectors('identity.txt', FILES['identity.txt'].keys);
  const said = await phpRecipe(records.map(({ issuer, upstream, now, jwks, method, url, body, identity }) => ({
    issuer, upstream, now: Number(now), jwks: JSON.parse(jwks),
    request: { method, url, identity, body: Buffer.from(body).toString('base64') },
  })));
  records.forEach(({ name, expect }, at) => assert.equal(said[at] === null ? 'refused' : 'accepted', expect, name));
});
