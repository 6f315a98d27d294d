import { base64url, ecdsa, jws, KEY, OTHER_KEY, sha256, thumbprint } from './jose.mjs';

const NOW = 1767225600;
const NONCE = base64url(sha256('vector-nonce'));
const ASKED = {
  issuer: 'https://pay.example', client_id: 'mco_app_vector', site_url: 'https://shop.example/de', nonce: NONCE, now: NOW,
  jkt: thumbprint(KEY),
};

const HEADER = { typ: 'counterfoil-ownership+jwt', alg: 'ES256', jwk: KEY.jwk };
const CLAIMS = {
  iss: ASKED.client_id, sub: ASKED.client_id, aud: ASKED.issuer, site_url: ASKED.site_url, nonce: NONCE, iat: NOW,
};

const make = ({ header = {}, claims = {}, key = KEY } = {}) =>
  jws({ ...HEADER, ...header }, { ...CLAIMS, ...claims }, (input) => ecdsa(key, input));
const accepted = (name, change, given) => ({ name, ...ASKED, ...given, answer: make(change), expect: 'accepted' });
const refused = (cause, name, change, given) => ({
  name, ...ASKED, ...given, answer: typeof change === 'string' ? change : make(change), expect: 'refused', cause,
});

export const ownerships = [
  accepted('plain'),
  accepted('unknown-claims', { claims: { purpose: 'vector' } }),
  accepted('oldest', { claims: { iat: NOW - 300 } }),
  accepted('newest', { claims: { iat: NOW + 300 } }),
  refused('type', 'dpop-proof', { header: { typ: 'dpop+jwt' } }),
  refused('type', 'no-type', { header: { typ: undefined } }),
  refused('alg', 'alg-none', { header: { alg: 'none' } }),
  refused('jwk', 'no-jwk', { header: { jwk: undefined } }),
  refused('key', 'key-of-another-store', { header: { jwk: OTHER_KEY.jwk }, key: OTHER_KEY }),
  refused('signature', 'signed-by-another-key', { key: OTHER_KEY }),
  refused('iss', 'another-client', { claims: { iss: 'mco_app_other' } }),
  refused('sub', 'another-subject', { claims: { sub: 'mco_app_other' } }),
  refused('aud', 'another-server', { claims: { aud: 'https://pay.example/' } }),
  refused('aud', 'audience-in-a-list', { claims: { aud: [ASKED.issuer] } }),
  refused('site_url', 'passed-on-from-another-site', { claims: { site_url: 'https://shop.example' } }),
  refused('nonce', 'an-answer-kept-from-before', { claims: { nonce: base64url(sha256('another')) } }),
  refused('nonce', 'no-nonce', { claims: { nonce: undefined } }),
  refused('stale', 'too-old', { claims: { iat: NOW - 301 } }),
  refused('stale', 'too-far-ahead', { claims: { iat: NOW + 301 } }),
  refused('stale', 'no-time', { claims: { iat: undefined } }),
  refused('malformed', 'not-a-jws', 'hello'),
];
