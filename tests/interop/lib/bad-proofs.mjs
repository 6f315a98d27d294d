// Proofs that no server may take, as knobs for `Key.proof`: name, knobs, and the code where it is not
// invalid_dpop_proof. A knob is a value or a function of {key, url, token}.
import { createHmac } from 'node:crypto';

import { Key, base64url, now, random, sha256 } from './dpop.mjs';

const stranger = new Key();
const p384 = new Key('P-384');
const k256 = new Key('secp256k1');

const header = (members) => ({ header: members });
const claims = (members) => ({ claims: members });
const jwk = (change) => ({ key }) => header({ jwk: { ...key.jwk, ...change(key.jwk) } });
const edit = (change) => ({ edit: change });
const signature = (change) => ({ signature: change });
const parts = (change) => edit((proof) => change(...proof.split('.')));
const doubled = (object, name, first) => JSON.stringify(object).replace(
  '{', `{${JSON.stringify(name)}:${JSON.stringify(first)},`,
);
const urlWith = (change) => ({ url }) => claims({ htu: change(url, new URL(url)) });
/** The last of 86 characters holds two bits of the signature; the others must be zero. */
const STRAY = { A: 'B', Q: 'R', g: 'h', w: 'x' };
const bytes = (text) => Buffer.from(text, 'base64url');

const TYPES = [undefined, null, 'JWT', 'at+jwt', 'jwt+dpop', 'dpop', '', 5, ['dpop+jwt']]
  .map((typ) => [`typ ${JSON.stringify(typ)}`, header({ typ })]);

const ALGORITHMS = [
  ...[
    undefined, null, 'none', 'nOnE', '', 'es256', 'ES384', 'ES512', 'ES256K', 'RS256', 'PS256', 'EdDSA', 256, ['ES256'],
  ]
    .map((alg) => [`alg ${JSON.stringify(alg)}`, header({ alg })]),
  ['alg none without a signature', { ...header({ alg: 'none' }), ...parts((head, body) => `${head}.${body}.`) }],
  ['HS256 with the public key as the secret', ({ key }) => ({
    ...header({ alg: 'HS256' }),
    ...signature((_, input) => createHmac('sha256', JSON.stringify(key.jwk)).update(input).digest()),
  })],
];

const KEYS = [
  ...[undefined, null, 'text', [], {}, 1].map((value) => [`jwk ${JSON.stringify(value)}`, header({ jwk: value })]),
  ['kid instead of jwk', header({ jwk: undefined, kid: 'k1' })],
  ['jku instead of jwk', header({ jwk: undefined, jku: 'http://127.0.0.1:9/jwks.json' })],
  ['x5c instead of jwk', header({ jwk: undefined, x5c: ['MII='] })],
  ['jwk with d', ({ key }) => header({ jwk: key.privateJwk })],
  ['jwk with an empty d', jwk(() => ({ d: '' }))],
  ['jwk with d null', jwk(() => ({ d: null }))],
  ['kty oct', header({ jwk: { kty: 'oct', k: 'c2VjcmV0' } })],
  ['kty RSA', jwk(() => ({ kty: 'RSA' }))],
  ['kty in lower case', jwk(() => ({ kty: 'ec' }))],
  ['crv renamed', jwk(() => ({ crv: 'P-384' }))],
  ['crv absent', jwk(() => ({ crv: undefined }))],
  ['a P-384 key', { header: { jwk: p384.jwk }, signer: p384 }],
  ['a secp256k1 key', { header: { jwk: k256.jwk }, signer: k256 }],
  ['a secp256k1 key called P-256', { header: { jwk: { ...k256.jwk, crv: 'P-256' } }, signer: k256 }],
  [
    'a point off the curve',
    jwk(({ x }) => ({ x: base64url(bytes(x).map((byte, at) => (at === 31 ? byte ^ 1 : byte))) })),
  ],
  ['the zero point', jwk(() => ({ x: base64url(Buffer.alloc(32)), y: base64url(Buffer.alloc(32)) }))],
  ['x of 33 bytes', jwk(({ x }) => ({ x: base64url(Buffer.concat([Buffer.alloc(1), bytes(x)])) }))],
  ['y of 33 bytes', jwk(({ y }) => ({ y: base64url(Buffer.concat([bytes(y), Buffer.alloc(1)])) }))],
  ['x of 31 bytes', jwk(({ x }) => ({ x: base64url(bytes(x).subarray(1)) }))],
  ['x with padding', jwk(({ x }) => ({ x: `${x}=` }))],
  ['x in standard base64', jwk(() => ({ x: '+/'.padEnd(43, 'A') }))],
  ['x empty', jwk(() => ({ x: '' }))],
  ['x a number', jwk(() => ({ x: 1 }))],
  ['y absent', jwk(() => ({ y: undefined }))],
  ['x and y exchanged', jwk(({ x, y }) => ({ x: y, y: x }))],
  ["another's key", header({ jwk: stranger.jwk })],
  ['crit with a known name', header({ crit: ['exp'], exp: 1 })],
  ['crit with an unknown name', header({ crit: ['x'], x: 1 })],
  ['crit empty', header({ crit: [] })],
  ['b64 false', header({ crit: ['b64'], b64: false })],
  ['two alg members', { rawHeader: (head) => doubled(head, 'alg', 'none') }],
  ['two typ members', { rawHeader: (head) => doubled(head, 'typ', 'JWT') }],
  ['two jwk members', { rawHeader: (head) => doubled(head, 'jwk', stranger.jwk) }],
];

const TARGETS = [
  ...[
    undefined, null, '', 'get', 'post', 'GET ', 'PUT', 'OPTIONS', 7, ['POST'], ['GET'],
  ].map((htm) => [`htm ${JSON.stringify(htm)}`, claims({ htm })]),
  ...[undefined, null, '', 7, [], {}].map((htu) => [`htu ${JSON.stringify(htu)}`, claims({ htu })]),
  ['htu of another host', urlWith((url) => url.replace('127.0.0.1', 'evil.example'))],
  ['htu of localhost', urlWith((url) => url.replace('127.0.0.1', 'localhost'))],
  ['htu of a host that goes on', urlWith((url) => url.replace('127.0.0.1', '127.0.0.1.evil.example'))],
  ['htu of another port', urlWith((url, { port }) => url.replace(port, String(Number(port) ^ 1)))],
  ['htu without the port', urlWith((url, { port }) => url.replace(`:${port}`, ''))],
  ['htu of another scheme', urlWith((url) => url.replace('http:', 'https:'))],
  ['htu with userinfo', urlWith((url) => url.replace('http://', 'http://user@'))],
  ['htu with a slash more', urlWith((url) => `${url}/`)],
  ['htu with two slashes', urlWith((url, { pathname }) => url.replace(pathname, `/${pathname}`))],
  ['htu of a path that goes on', urlWith((url) => `${url}x`)],
  ['htu of a shorter path', urlWith((url) => url.slice(0, -1))],
  ['htu in other case', urlWith((url, { origin, pathname }) => `${origin}${pathname.toUpperCase()}`)],
  [
    'htu with an encoded letter',
    urlWith((url, { origin, pathname }) => `${origin}/%${pathname.charCodeAt(1).toString(16)}${pathname.slice(2)}`),
  ],
  ['htu with dot segments', urlWith((url, { origin, pathname }) => `${origin}/x/..${pathname}`)],
  ['htu with a backslash', urlWith((url, { origin, pathname }) => `${origin}\\${pathname.slice(1)}`)],
  ['htu with a space', urlWith((url) => ` ${url}`)],
  ['htu without an origin', urlWith((url, { pathname }) => pathname)],
  ['htu of another endpoint', urlWith((url, { origin }) => `${origin}/oauth/revoke`)],
];

const TIMES = [
  ...[undefined, null, 'now', true, {}, []].map((iat) => [`iat ${JSON.stringify(iat)}`, claims({ iat })]),
  ['iat as text', () => claims({ iat: String(now()) })],
  ['iat negative', claims({ iat: -1 })],
  ['iat zero', claims({ iat: 0 })],
  ['iat too old', () => claims({ iat: now() - 330 })],
  ['iat too far ahead', () => claims({ iat: now() + 330 })],
  ['iat in milliseconds', () => claims({ iat: Date.now() })],
  ['iat beyond every number', { rawClaims: (body) => JSON.stringify(body).replace(/"iat":\d+/, '"iat":1e400') }],
  ['exp passed', () => claims({ exp: now() - 60 })],
  ['exp zero', claims({ exp: 0 })],
  ['exp as text', claims({ exp: 'later' })],
  ['nbf to come', () => claims({ nbf: now() + 600 })],
];

const NAMES = [
  ...[undefined, null, '', 7, {}, ['a']].map((jti) => [`jti ${JSON.stringify(jti)}`, claims({ jti })]),
  ['jti of 257 characters', () => claims({ jti: random(300).slice(0, 257) })],
  ['jti of 4 kB', () => claims({ jti: random(3000) })],
  ['jti with a line break', () => claims({ jti: `${random()}\n` })],
  ['two jti members', { rawClaims: (body) => doubled(body, 'jti', 'another') }],
  ['two htu members', { rawClaims: (body) => doubled(body, 'htu', body.htu) }],
  ['nonce a number', claims({ nonce: 7 })],
  ['nonce a list', claims({ nonce: ['a'] })],
  ['nonce of nobody', () => claims({ nonce: random() }), 'use_dpop_nonce'],
  ['nonce empty', claims({ nonce: '' }), 'use_dpop_nonce'],
];

const FORMS = [
  ['an empty header', edit(() => '')],
  ['a word', edit(() => 'proof')],
  ['two parts', parts((head, body) => `${head}.${body}`)],
  ['four parts', edit((proof) => `${proof}.x`)],
  ['five parts', edit((proof) => `${proof}.x.y`)],
  ['a dot more', edit((proof) => `${proof}.`)],
  ['no header', parts((head, body, sig) => `.${body}.${sig}`)],
  ['no claims', parts((head, body, sig) => `${head}..${sig}`)],
  ['padding', edit((proof) => `${proof}==`)],
  ['a space inside', edit((proof) => proof.replace('.', ' .'))],
  ['standard base64', parts((head, body, sig) => `${head}.${body}.+${sig.slice(1)}`)],
  [
    'bits that no encoder writes',
    parts((head, body, sig) => `${head}.${body}.${sig.slice(0, -1)}${STRAY[sig.at(-1)]}`),
  ],
  ['claims that are no JSON', { rawClaims: () => 'claims' }],
  ['claims that are a list', { rawClaims: (body) => JSON.stringify([body]) }],
  ['claims with something after', { rawClaims: (body) => `${JSON.stringify(body)}{}` }],
  ['claims behind a byte order mark', { rawClaims: (body) => `\ufeff${JSON.stringify(body)}` }],
  ['claims in UTF-16', { rawClaims: (body) => Buffer.from(JSON.stringify(body), 'utf16le') }],
  ['claims with a lone surrogate', { rawClaims: (body) => JSON.stringify(body).replace('{', '{"a":"\\ud800",') }],
  ['a header that is a list', { rawHeader: (head) => JSON.stringify([head]) }],
  ['a header that is no JSON', { rawHeader: () => 'header' }],
  [
    'claims nested 1,500 deep',
    { rawClaims: (body) => JSON.stringify(body).replace('{', `{"a":${'['.repeat(1500)}${']'.repeat(1500)},`) },
  ],
  [
    'JSON serialization',
    parts((head, body, sig) => JSON.stringify({ protected: head, payload: body, signature: sig })),
  ],
];

const SIGNATURES = [
  ['a bit turned', signature((sig) => sig.map((byte, at) => (at === 5 ? byte ^ 1 : byte)))],
  ['63 bytes', signature((sig) => sig.subarray(0, 63))],
  ['65 bytes', signature((sig) => Buffer.concat([sig, Buffer.alloc(1)]))],
  ['none', signature(() => Buffer.alloc(0))],
  ['all zero', signature(() => Buffer.alloc(64))],
  ['r zero', signature((sig) => Buffer.concat([Buffer.alloc(32), sig.subarray(32)]))],
  ['s zero', signature((sig) => Buffer.concat([sig.subarray(0, 32), Buffer.alloc(32)]))],
  ['all ones', signature(() => Buffer.alloc(64, 0xff))],
  ['DER', ({ key }) => signature((_, input) => key.sign(input, 'der'))],
  ["another's", { signer: stranger }],
].map(([name, knobs]) => [`signature: ${name}`, knobs]);

/** Wrong at every endpoint. */
export const BAD_PROOFS = [...TYPES, ...ALGORITHMS, ...KEYS, ...TARGETS, ...TIMES, ...NAMES, ...FORMS, ...SIGNATURES];

/** Wrong where no access token is presented. */
export const BAD_WITHOUT_TOKEN = [
  ['ath without a token', () => claims({ ath: sha256('token') })],
  ['ath null', claims({ ath: null })],
];

/** Wrong where one is. */
export const BAD_WITH_TOKEN = [
  ['ath absent', claims({ ath: undefined })],
  ['ath null', claims({ ath: null })],
  ['ath empty', claims({ ath: '' })],
  ['ath of another token', claims({ ath: sha256('another') })],
  ['ath in hex', ({ token }) => claims({ ath: Buffer.from(sha256(token), 'base64url').toString('hex') })],
  ['ath with padding', ({ token }) => claims({ ath: `${sha256(token)}=` })],
  ['ath of the scheme too', ({ token }) => claims({ ath: sha256(`DPoP ${token}`) })],
  ['ath a list', ({ token }) => claims({ ath: [sha256(token)] })],
  ['two ath members', { rawClaims: (body) => doubled(body, 'ath', body.ath) }],
];

/** Unusual, and right: a server that refuses one of these refuses honest clients. */
export const GOOD_PROOFS = [
  ['made 10 s ago', () => claims({ iat: now() - 10 })],
  ['made in 10 s', () => claims({ iat: now() + 10 })],
  ['made 4 minutes ago', () => claims({ iat: now() - 240 })],
  ['a fraction of a second', () => claims({ iat: now() - 0.75 })],
  ['htu with query and fragment', urlWith((url) => `${url}?a=b#c`)],
  ['htu with the scheme in capitals', urlWith((url) => url.replace('http:', 'HTTP:'))],
  ['more members in the jwk', jwk(() => ({ kid: 'k1', use: 'sig', alg: 'ES256', key_ops: ['verify'] }))],
  ['more claims', claims({ iss: 'shop', sub: null, more: { deep: [1] } })],
  ['more header members', header({ kid: 'k1' })],
  ['jti of 256 characters', () => claims({ jti: random(300).slice(0, 256) })],
  ['exp to come', () => claims({ exp: now() + 60 })],
];

/** The knobs of one entry for one request. */
export const knobsFor = (knobs, circumstances) => (typeof knobs === 'function' ? knobs(circumstances) : knobs);
