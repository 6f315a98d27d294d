import { base64url, ecdsa, jws, KEY, OTHER_KEY, rs256, RSA_PUBLIC, sha256 } from './jose.mjs';

const NOW = 1767225600;
const KEYS = [
  { ...KEY.jwk, kid: 'identity-1', alg: 'ES256', use: 'sig' }, { ...OTHER_KEY.jwk, kid: 'identity-2', alg: 'ES256', use: 'sig' },
  { ...RSA_PUBLIC, kid: 'rsa', alg: 'RS256', use: 'sig' },
];
const ASKED = {
  issuer: 'https://pay.example', upstream: 'orders', now: NOW, jwks: JSON.stringify({ keys: KEYS }), method: 'POST',
  url: '/inner/orders/7?a=%2e%2E&b', body: '{"amount":1}',
};

const digest = (body) => `sha-256=:${sha256(body).toString('base64')}:`;
const HEADER = { typ: 'counterfoil-identity+jwt', alg: 'ES256', kid: 'identity-1' };
const CLAIMS = {
  iss: ASKED.issuer, aud: 'orders', sub: 'user_vector', client_id: 'mco_app_vector', installation_id: 'mco_app_vector',
  company_id: 'co_vector', grant_id: 'grant_vector', scope: 'orders:read orders:write',
  cnf: { jkt: 'oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U' }, token_id: 'jti_vector', ip: '203.0.113.7', htm: 'POST',
  path: '/inner/orders/7', query_sha256: base64url(sha256('a=%2e%2E&b')), content_digest: digest('{"amount":1}'),
  iat: NOW, exp: NOW + 60, jti: 'AAECAwQFBgcICQoLDA0ODw',
};

const make = ({ header = {}, claims = {}, key = KEY, sign = (input) => ecdsa(key, input) } = {}) =>
  jws({ ...HEADER, ...header }, { ...CLAIMS, ...claims }, sign);
const accepted = (name, change, given) => ({ name, ...ASKED, ...given, identity: make(change), expect: 'accepted' });
const refused = (cause, name, change, given) => ({
  name, ...ASKED, ...given, identity: typeof change === 'string' ? change : make(change), expect: 'refused', cause,
});

const PLAIN = make();
const [HEAD, PAYLOAD] = PLAIN.split('.');
const bare = { query_sha256: base64url(sha256('')), content_digest: digest(''), htm: 'GET' };

export const identities = [
  accepted('plain'),
  accepted('bearer-token', { claims: { cnf: undefined, installation_id: undefined } }),
  accepted('no-query-no-body', { claims: bare }, { method: 'GET', url: '/inner/orders/7', body: '' }),
  accepted('empty-query', { claims: bare }, { method: 'GET', url: '/inner/orders/7?', body: '' }),
  accepted('two-question-marks', { claims: { query_sha256: base64url(sha256('a=?b')) } }, { url: '/inner/orders/7?a=?b' }),
  accepted('another-key', { header: { kid: 'identity-2' }, key: OTHER_KEY }),
  accepted('unknown-claims', { claims: { purpose: 'vector' } }),
  accepted('last-second', { claims: { iat: NOW - 59, exp: NOW + 1 } }),
  refused('type', 'access-token', { header: { typ: 'at+jwt' } }),
  refused('type', 'no-type', { header: { typ: undefined } }),
  refused('type', 'ownership', { header: { typ: 'counterfoil-ownership+jwt' } }),
  refused('alg', 'alg-none', `${base64url(JSON.stringify({ ...HEADER, alg: 'none' }))}.${PAYLOAD}.`),
  refused('alg', 'rs256', { header: { alg: 'RS256', kid: 'rsa' }, sign: rs256 }),
  refused('kid', 'unknown-key', { header: { kid: 'identity-3' } }),
  refused('kid', 'own-key-brought-along', { header: { kid: 'identity-3', jwk: KEY.jwk } }),
  refused('crit', 'crit', { header: { crit: ['x'], x: true } }),
  refused('signature', 'signed-by-another-key', { key: OTHER_KEY }),
  refused('signature', 'no-signature', `${HEAD}.${PAYLOAD}.`),
  refused('signature', 'zeros', `${HEAD}.${PAYLOAD}.${base64url(Buffer.alloc(64))}`),
  refused('iss', 'another-server', { claims: { iss: 'https://pay.example/' } }),
  refused('aud', 'another-upstream', { claims: { aud: 'refunds' } }),
  refused('aud', 'no-audience', { claims: { aud: undefined } }),
  refused('htm', 'another-method', {}, { method: 'PUT' }),
  refused('path', 'another-path', {}, { url: '/inner/orders/8?a=%2e%2E&b' }),
  refused('path', 'decoded-path', { claims: { path: '/inner/orders/%C3%A9' } }, { url: '/inner/orders/%c3%a9?a=%2e%2E&b' }),
  refused('query', 'another-query', {}, { url: '/inner/orders/7?a=%2e%2E&b&c' }),
  refused('query', 'no-query', {}, { url: '/inner/orders/7' }),
  refused('body', 'another-body', {}, { body: '{"amount":2}' }),
  refused('body', 'body-without-digest', { claims: { content_digest: undefined } }),
  refused('time', 'expired', { claims: { iat: NOW - 70, exp: NOW - 10 } }),
  refused('time', 'no-end', { claims: { exp: undefined } }),
  refused('time', 'no-beginning', { claims: { iat: undefined } }),
  refused('compact', 'not-a-jws', 'hello'),
  refused('compact', 'absent', ''),
  refused('compact', 'four-parts', `${PLAIN}.e30`),
];
