import {
  base64url,
  der,
  ecdsa,
  hs256,
  json,
  jws,
  K256_KEY,
  KEY,
  OTHER_KEY,
  P384_KEY,
  remake,
  rs256,
  RSA_PRIVATE,
  RSA_PUBLIC,
  sha256,
  thumbprint,
  UNREDUCED_POINT,
} from './jose.mjs';

const NOW = 1767225600;
const URL = 'https://pay.example/oauth/token';
const TOKEN = 'vector-access-token';
const ATH = base64url(sha256(TOKEN));
const NONCE = 'server-nonce-1';

const HEADER = { typ: 'dpop+jwt', alg: 'ES256', jwk: KEY.jwk };
const CLAIMS = { jti: 'vector-jti', htm: 'POST', htu: URL, iat: NOW };
const es256 =
  (key = KEY) =>
  (input) =>
    ecdsa(key, input);
const omit = (object, name) => Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));
// JSON that `JSON.stringify` would not write: the text of one object with more text before its closing brace.
const append = (object, text) => `${json(object).slice(0, -1)},${text}}`;

const make = ({ header = HEADER, claims = CLAIMS, sign = es256() } = {}) => jws(header, claims, sign);
const withHeader = (change, sign) => make({ header: { ...HEADER, ...change }, sign });
const withClaims = (change) => make({ claims: { ...CLAIMS, ...change } });
const withJwk = (change) => withHeader({ jwk: { ...KEY.jwk, ...change } });
const withSignature = (change) => make({ sign: (input) => change(ecdsa(KEY, input)) });

const request = (name, proof, given) => ({
  name,
  method: 'POST',
  url: URL,
  now: NOW,
  window: '300 300',
  ...given,
  proof,
});
const accepted = (name, proof, given = {}) => ({
  ...request(name, proof, omit(omit(given, 'jti'), 'iat')),
  expect: 'accepted',
  jkt: thumbprint(KEY),
  jti: given.jti ?? CLAIMS.jti,
  iat: given.iat ?? NOW,
});
const refused = (cause, name, proof, given) => ({ ...request(name, proof, given), expect: 'refused', cause });
// One refusal each for many values of one claim.
const claim = (cause, values, given) =>
  Object.entries(values).map(([name, change]) => refused(cause, name, withClaims(change), given));

const PLAIN = make();
const [plainHeader, plainClaims, plainSignature] = PLAIN.split('.');
const bytes = (key, name) => Buffer.from(key.jwk[name], 'base64url');
const token = { access_token: TOKEN };
const strict = { window: '300 60' };

const good = [
  accepted('plain', PLAIN),
  accepted('with-token', withClaims({ ath: ATH }), token),
  accepted('unknown-claims', withClaims({ purpose: 'vector', nested: { deep: [1, null] } })),
  accepted('unknown-header-members', withHeader({ kid: 'k1', jku: 'https://evil.example/jwks' })),
  accepted('jwk-with-public-extras', withJwk({ kid: 'k1', use: 'sig', alg: 'ES256', key_ops: ['verify'] })),
  accepted('jwk-members-in-other-order', withHeader({ jwk: Object.fromEntries(Object.entries(KEY.jwk).reverse()) })),
  accepted(
    'json-with-white-space',
    make({ header: JSON.stringify(HEADER, null, 2), claims: JSON.stringify(CLAIMS, null, '\t') }),
  ),
  accepted('json-with-escapes', make({ header: json(HEADER).replace('"alg"', '"\\u0061lg"') })),
  accepted('method-other-than-post', withClaims({ htm: 'PATCH' }), { method: 'PATCH' }),
  accepted('htu-with-query', withClaims({ htu: `${URL}?a=b` })),
  accepted('htu-with-fragment', withClaims({ htu: `${URL}#a` })),
  accepted('htu-host-and-scheme-upper-case', withClaims({ htu: 'HTTPS://PAY.EXAMPLE/oauth/token' })),
  accepted('htu-with-default-port', withClaims({ htu: 'https://pay.example:443/oauth/token' })),
  accepted('htu-of-root-without-slash', withClaims({ htu: 'https://pay.example' }), { url: 'https://pay.example/' }),
  accepted('htu-with-port', withClaims({ htu: 'http://127.0.0.1:8080/oauth/token' }), {
    url: 'http://127.0.0.1:8080/oauth/token',
  }),
  accepted('htu-ipv6', withClaims({ htu: 'http://[::1]:8080/oauth/token' }), { url: 'http://[::1]:8080/oauth/token' }),
  accepted('iat-oldest', withClaims({ iat: NOW - 300 }), { iat: NOW - 300 }),
  accepted('iat-furthest-ahead', withClaims({ iat: NOW + 300 }), { iat: NOW + 300 }),
  accepted('iat-furthest-ahead-strict', withClaims({ iat: NOW + 60 }), { iat: NOW + 60, ...strict }),
  accepted('iat-fractional', withClaims({ iat: NOW + 0.25 })),
  accepted('iat-with-exponent', make({ claims: json(CLAIMS).replace(`${NOW}`, '1.7672256e9') })),
  accepted('exp-ahead-and-nbf-past', withClaims({ exp: NOW + 1, nbf: NOW })),
  accepted('nbf-within-window', withClaims({ nbf: NOW + 300 })),
  accepted('jti-of-one-character', withClaims({ jti: '~' }), { jti: '~' }),
  accepted('jti-longest', withClaims({ jti: 'j'.repeat(256) }), { jti: 'j'.repeat(256) }),
  accepted('nonce-ours', withClaims({ nonce: NONCE }), { nonce: NONCE }),
  accepted('nonce-ours-and-required', withClaims({ nonce: NONCE }), { nonce: NONCE, nonce_required: 'yes' }),
  accepted('nonce-absent-and-optional', PLAIN, { nonce: NONCE }),
  {
    ...accepted('names-a-successor', withClaims({ next_jkt: thumbprint(OTHER_KEY) })),
    successor: thumbprint(OTHER_KEY),
  },
  // Whoever saw `plain` can make this from it: the same key and jti, so a replay memory knows it; other bytes.
  accepted('signature-malleated', withSignature(remake((r, s, n) => [r, n - s]))),
];

const typ = [
  refused('typ', 'typ-missing', make({ header: omit(HEADER, 'typ') })),
  ...['JWT', 'at+jwt', 'jwt+dpop', 'DPOP+JWT', 'application/dpop+jwt', 'dpop+jwt ', ''].map((value) =>
    refused(
      'typ',
      `typ-${value.trim() === value ? value.replaceAll(/[+/]/g, '-') || 'empty' : 'with-space'}`,
      withHeader({ typ: value }),
    ),
  ),
  refused('typ', 'typ-number', withHeader({ typ: 1 })),
  refused('typ', 'typ-array', withHeader({ typ: ['dpop+jwt'] })),
];

const alg = [
  refused('alg', 'alg-missing', make({ header: omit(HEADER, 'alg') })),
  refused(
    'alg',
    'alg-none-unsigned',
    withHeader({ alg: 'none' }, () => ''),
  ),
  refused('alg', 'alg-none-signed', withHeader({ alg: 'none' })),
  refused(
    'alg',
    'alg-none-in-mixed-case',
    withHeader({ alg: 'nOnE' }, () => ''),
  ),
  refused('alg', 'alg-lower-case', withHeader({ alg: 'es256' })),
  refused('alg', 'alg-array', withHeader({ alg: ['ES256'] })),
  refused('alg', 'alg-unknown', withHeader({ alg: 'ES257' })),
  refused('alg', 'alg-es384-with-p-256-key', withHeader({ alg: 'ES384' })),
  refused('alg', 'alg-es384-rightly-signed', withHeader({ alg: 'ES384', jwk: P384_KEY.jwk }, es256(P384_KEY))),
  refused('alg', 'alg-es256k-rightly-signed', withHeader({ alg: 'ES256K', jwk: K256_KEY.jwk }, es256(K256_KEY))),
  refused('alg', 'alg-rs256-rightly-signed', withHeader({ alg: 'RS256', jwk: RSA_PUBLIC }, rs256)),
  refused(
    'alg',
    'alg-hs256-secret-is-public-key',
    withHeader({ alg: 'HS256' }, (input) => hs256(json(KEY.jwk), input)),
  ),
  refused(
    'alg',
    'alg-hs256-oct',
    withHeader({ alg: 'HS256', jwk: { kty: 'oct', k: 'c2VjcmV0' } }, (input) => hs256('secret', input)),
  ),
];

const { x, y } = KEY.jwk;
const standard = (text) => Buffer.from(text, 'base64url').toString('base64').replace(/=+$/, '');
const stray = (text) => text.replace(/.$/, (last) => String.fromCharCode(last.charCodeAt(0) + 1));
const jwk = [
  refused('jwk-curve', 'jwk-missing', make({ header: omit(HEADER, 'jwk') })),
  ...Object.entries({ null: null, string: json(KEY.jwk), array: [KEY.jwk], number: 1, 'empty-object': {} }).map(
    ([name, value]) => refused('jwk-curve', `jwk-${name}`, withHeader({ jwk: value })),
  ),
  ...Object.entries({ kid: 'k1', jku: 'https://evil.example/jwks', x5c: ['MIIB'] }).map(([name, value]) =>
    refused(
      'jwk-curve',
      `${name}-instead-of-jwk`,
      make({ header: { typ: HEADER.typ, alg: HEADER.alg, [name]: value } }),
    ),
  ),
  refused('jwk-curve', 'kty-missing', withHeader({ jwk: omit(KEY.jwk, 'kty') })),
  refused('jwk-curve', 'kty-okp', withJwk({ kty: 'OKP', crv: 'Ed25519' })),
  refused('jwk-curve', 'kty-lower-case', withJwk({ kty: 'ec' })),
  refused('jwk-curve', 'kty-rsa', withHeader({ jwk: RSA_PUBLIC }, rs256)),
  refused('jwk-curve', 'crv-missing', withHeader({ jwk: omit(KEY.jwk, 'crv') })),
  refused('jwk-curve', 'crv-lower-case', withJwk({ crv: 'p-256' })),
  refused('jwk-curve', 'crv-p-384', withHeader({ jwk: P384_KEY.jwk }, es256(P384_KEY))),
  refused('jwk-curve', 'crv-secp256k1', withHeader({ jwk: K256_KEY.jwk }, es256(K256_KEY))),
  refused(
    'jwk-off-curve',
    'secp256k1-called-p-256',
    withHeader({ jwk: { ...K256_KEY.jwk, crv: 'P-256' } }, es256(K256_KEY)),
  ),
  refused(
    'jwk-coordinate',
    'p-384-called-p-256',
    withHeader({ jwk: { ...P384_KEY.jwk, crv: 'P-256' } }, es256(P384_KEY)),
  ),
  refused('jwk-off-curve', 'point-off-curve', withJwk({ y: x })),
  refused('jwk-off-curve', 'point-zero', withJwk({ x: base64url(Buffer.alloc(32)), y: base64url(Buffer.alloc(32)) })),
  refused(
    'jwk-off-curve',
    'point-all-ones',
    withJwk({ x: base64url(Buffer.alloc(32, 255)), y: base64url(Buffer.alloc(32, 255)) }),
  ),
  refused('jwk-off-curve', 'x-not-reduced', withJwk(UNREDUCED_POINT)),
  refused('jwk-coordinate', 'x-missing', withHeader({ jwk: omit(KEY.jwk, 'x') })),
  refused('jwk-coordinate', 'y-missing', withHeader({ jwk: omit(KEY.jwk, 'y') })),
  refused(
    'jwk-coordinate',
    'x-of-33-bytes',
    withJwk({ x: base64url(Buffer.concat([Buffer.alloc(1), bytes(KEY, 'x')])) }),
  ),
  refused('jwk-coordinate', 'x-of-31-bytes', withJwk({ x: base64url(bytes(KEY, 'x').subarray(1)) })),
  refused(
    'jwk-coordinate',
    'y-of-33-bytes',
    withJwk({ y: base64url(Buffer.concat([bytes(KEY, 'y'), Buffer.alloc(1)])) }),
  ),
  refused('jwk-coordinate', 'x-empty', withJwk({ x: '' })),
  refused('jwk-coordinate', 'x-number', withJwk({ x: 7 })),
  refused('jwk-coordinate', 'x-padded', withJwk({ x: `${x}=` })),
  refused('jwk-coordinate', 'y-in-standard-base64', withJwk({ y: standard(y) })),
  refused('jwk-coordinate', 'x-with-stray-bits', withJwk({ x: stray(x) })),
  refused('jwk-coordinate', 'x-in-hex', withJwk({ x: bytes(KEY, 'x').toString('hex') })),
  refused('jwk-private', 'jwk-with-d', withJwk({ d: base64url(Buffer.alloc(32, 7)) })),
  refused('jwk-private', 'jwk-with-empty-d', withJwk({ d: '' })),
  refused('jwk-private', 'jwk-with-null-d', withJwk({ d: null })),
  refused('jwk-private', 'jwk-with-k', withJwk({ k: 'c2VjcmV0' })),
  refused('jwk-private', 'jwk-rsa-private', withHeader({ jwk: RSA_PRIVATE }, rs256)),
];

const doubled = [
  refused('header', 'alg-twice', make({ header: append(HEADER, '"alg":"none"') })),
  refused('header', 'alg-twice-the-same', make({ header: append(HEADER, '"alg":"ES256"') })),
  refused('header', 'alg-twice-once-escaped', make({ header: append(HEADER, '"\\u0061lg":"ES256"') })),
  refused('header', 'typ-twice', make({ header: append(HEADER, '"typ":"JWT"') })),
  refused('header', 'jwk-twice', make({ header: append(HEADER, `"jwk":${json(OTHER_KEY.jwk)}`) })),
  refused(
    'header',
    'x-twice',
    make({ header: append({ typ: 'dpop+jwt', alg: 'ES256' }, `"jwk":${append(KEY.jwk, `"x":"${x}"`)}`) }),
  ),
  refused('payload', 'jti-twice', make({ claims: append(CLAIMS, '"jti":"other"') })),
  refused('payload', 'htu-twice', make({ claims: append(CLAIMS, `"htu":"${URL}"`) })),
  refused('payload', 'iat-twice', make({ claims: append(CLAIMS, `"iat":${NOW}`) })),
  refused('payload', 'unknown-claim-twice-within', make({ claims: append(CLAIMS, '"a":[{"b":1,"b":1}]') })),
];

const form = [
  ...Object.entries({
    empty: '',
    'two-dots': '..',
    'one-part': plainHeader,
    'two-parts': `${plainHeader}.${plainClaims}`,
    'four-parts': `${PLAIN}.${plainSignature}`,
    'five-parts': `${PLAIN}..`,
    'two-proofs-joined-by-comma': `${PLAIN}, ${PLAIN}`,
    'json-serialization': json({ protected: plainHeader, payload: plainClaims, signature: plainSignature }),
    'with-scheme': `DPoP ${PLAIN}`,
    'leading-space': ` ${PLAIN}`,
    'trailing-newline': `${PLAIN}\n`,
    'signature-padded': `${PLAIN}==`,
    'signature-with-stray-bits': stray(PLAIN),
    'header-padded': `${plainHeader}=.${plainClaims}.${plainSignature}`,
    'header-not-base64': `{}.${plainClaims}.${plainSignature}`,
    'not-ascii': `${plainHeader}.${plainClaims}é.${plainSignature}`,
  }).map(([name, text]) => refused(text === '..' ? 'header' : 'compact', name, text)),
  ...Object.entries({
    array: '[]',
    string: '"dpop+jwt"',
    null: 'null',
    empty: '',
    'not-json': 'dpop+jwt',
    'with-byte-order-mark': `\ufeff${json(HEADER)}`,
    'with-trailing-text': `${json(HEADER)} x`,
    'with-trailing-comma': json(HEADER).replace(/}$/, ',}'),
    'in-utf-16': Buffer.from(json(HEADER), 'utf16le'),
    'not-utf-8': Buffer.concat([Buffer.from('{"'), Buffer.from([0xff]), Buffer.from('":1}')]),
    'three-thousand-deep': '['.repeat(3000),
  }).map(([name, header]) => refused('header', `header-${name}`, make({ header }))),
  ...Object.entries({
    array: '[]',
    string: '"x"',
    number: '1',
    empty: '',
    'not-json': 'x',
    'with-trailing-text': `${json(CLAIMS)}{}`,
    'with-lone-surrogate': append(CLAIMS, '"a":"\\ud800"'),
    'with-nul': `${json(CLAIMS)}\0`,
    'three-thousand-deep': append(CLAIMS, `"a":${'['.repeat(3000)}`),
  }).map(([name, claims]) => refused('payload', `payload-${name}`, make({ claims }))),
  refused('too-long', 'longer-than-8192', withClaims({ padding: 'a'.repeat(6000) })),
  ...Object.entries({
    'unknown-name': ['vector'],
    'b64-false': ['b64'],
    'empty-array': [],
    null: null,
    string: 'alg',
  }).map(([name, crit]) =>
    refused('crit', `crit-${name}`, withHeader(name === 'b64-false' ? { crit, b64: false } : { crit })),
  ),
];

const htm = [
  refused('htm', 'htm-missing', make({ claims: omit(CLAIMS, 'htm') })),
  ...claim('htm', {
    'htm-other': { htm: 'GET' },
    'htm-lower-case': { htm: 'post' },
    'htm-with-space': { htm: 'POST ' },
    'htm-empty': { htm: '' },
    'htm-array': { htm: ['POST'] },
    'htm-null': { htm: null },
  }),
];

const htu = [
  refused('htu', 'htu-missing', make({ claims: omit(CLAIMS, 'htu') })),
  ...Object.entries({
    array: [URL],
    null: null,
    empty: '',
    'path-only': '/oauth/token',
    'without-scheme': '//pay.example/oauth/token',
    'other-scheme': 'http://pay.example/oauth/token',
    'scheme-with-one-slash': 'https:/pay.example/oauth/token',
    'other-host': 'https://evil.example/oauth/token',
    'host-suffix': 'https://pay.example.evil.example/oauth/token',
    'host-prefix': 'https://evil-pay.example/oauth/token',
    'host-with-final-dot': 'https://pay.example./oauth/token',
    'host-encoded': 'https://pay%2eexample/oauth/token',
    userinfo: 'https://pay.example@evil.example/oauth/token',
    'userinfo-right-host': 'https://user@pay.example/oauth/token',
    'other-port': 'https://pay.example:8443/oauth/token',
    'port-zero-padded': 'https://pay.example:0443/oauth/token',
    'port-of-other-scheme': 'https://pay.example:80/oauth/token',
    'other-endpoint': 'https://pay.example/oauth/par',
    'path-prefix': 'https://pay.example/oauth',
    'path-suffix': 'https://pay.example/oauth/token2',
    'path-upper-case': 'https://pay.example/oauth/TOKEN',
    'final-slash': 'https://pay.example/oauth/token/',
    'dot-segment': 'https://pay.example/oauth/./token',
    'dot-segments': 'https://pay.example/x/../oauth/token',
    'double-slash': 'https://pay.example//oauth/token',
    'encoded-letter': 'https://pay.example/oauth/%74oken',
    'encoded-slash': 'https://pay.example/oauth%2ftoken',
    backslash: 'https://pay.example\\oauth\\token',
    semicolon: 'https://pay.example/oauth/token;a',
    'leading-space': ` ${URL}`,
    'trailing-newline': `${URL}\n`,
    'tab-inside': 'https://pay.exa\tmple/oauth/token',
    'look-alike-letter': 'https://p\u0430y.example/oauth/token',
    nul: `${URL}\0`,
  }).map(([name, value]) => refused('htu', `htu-${name}`, withClaims({ htu: value }))),
];

const rawIat = (text) => make({ claims: json(CLAIMS).replace(`${NOW}`, text) });
const times = [
  refused('iat', 'iat-missing', make({ claims: omit(CLAIMS, 'iat') })),
  ...claim('iat', {
    'iat-null': { iat: null },
    'iat-string': { iat: `${NOW}` },
    'iat-bool': { iat: true },
    'iat-object': { iat: {} },
    'iat-array': { iat: [NOW] },
  }),
  refused('iat', 'iat-beyond-64-bits', rawIat('18446744073709551616')),
  refused('iat', 'iat-1e300', rawIat('1e300')),
  refused('payload', 'iat-1e400', rawIat('1e400')),
  refused('payload', 'iat-nan', rawIat('NaN')),
  refused('payload', 'iat-with-leading-zero', rawIat(`0${NOW}`)),
  refused('stale', 'iat-largest-integer', rawIat('9223372036854775807')),
  refused('stale', 'iat-smallest-integer', rawIat('-9223372036854775808')),
  ...claim('stale', {
    'iat-past': { iat: NOW - 301 },
    'iat-future': { iat: NOW + 301 },
    'iat-fraction-past': { iat: NOW - 300.25 },
    'iat-zero': { iat: 0 },
    'iat-negative': { iat: -1 },
    'iat-in-milliseconds': { iat: NOW * 1000 },
  }),
  refused('stale', 'iat-future-strict', withClaims({ iat: NOW + 61 }), strict),
  refused('stale', 'iat-past-in-spite-of-nonce', withClaims({ iat: NOW - 3600, nonce: NONCE }), {
    nonce: NONCE,
    nonce_required: 'yes',
  }),
  ...claim('expired', {
    'exp-now': { exp: NOW },
    'exp-past': { exp: NOW - 1 },
    'exp-zero': { exp: 0 },
    'exp-string': { exp: `${NOW + 60}` },
    'exp-null': { exp: null },
    'nbf-future': { nbf: NOW + 301 },
    'nbf-string': { nbf: `${NOW}` },
    'nbf-null': { nbf: null },
  }),
];

const jti = [
  refused('jti', 'jti-missing', make({ claims: omit(CLAIMS, 'jti') })),
  ...claim('jti', {
    'jti-empty': { jti: '' },
    'jti-too-long': { jti: 'j'.repeat(257) },
    'jti-number': { jti: 1 },
    'jti-null': { jti: null },
    'jti-array': { jti: ['vector-jti'] },
    'jti-with-space': { jti: 'vector jti' },
    'jti-with-nul': { jti: 'vector\0jti' },
    'jti-not-ascii': { jti: 'vectör' },
  }),
  refused('too-long', 'jti-of-8000-bytes', withClaims({ jti: 'j'.repeat(8000) })),
];

const ath = [
  refused('ath', 'ath-missing', PLAIN, token),
  refused('ath', 'ath-unexpected', withClaims({ ath: ATH })),
  refused('ath', 'ath-null-unexpected', withClaims({ ath: null })),
  ...claim(
    'ath',
    {
      'ath-of-other-token': { ath: base64url(sha256('other')) },
      'ath-empty': { ath: '' },
      'ath-null': { ath: null },
      'ath-array': { ath: [ATH] },
      'ath-padded': { ath: `${ATH}=` },
      'ath-in-hex': { ath: sha256(TOKEN).toString('hex') },
      'ath-in-standard-base64': { ath: sha256(TOKEN).toString('base64') },
      'ath-truncated': { ath: ATH.slice(0, 42) },
      'ath-with-stray-bits': { ath: stray(ATH) },
      'ath-of-hex-of-hash': { ath: base64url(sha256(TOKEN).toString('hex')) },
    },
    token,
  ),
];

const nonce = [
  refused('nonce', 'nonce-missing', PLAIN, { nonce: NONCE, nonce_required: 'yes' }),
  ...claim(
    'nonce',
    {
      'nonce-foreign': { nonce: 'not-ours' },
      'nonce-empty': { nonce: '' },
      'nonce-upper-case': { nonce: NONCE.toUpperCase() },
    },
    { nonce: NONCE },
  ),
  refused('nonce', 'nonce-though-none-was-issued', withClaims({ nonce: NONCE })),
  ...claim(
    'claim',
    { 'nonce-number': { nonce: 1 }, 'nonce-array': { nonce: [NONCE] }, 'nonce-null': { nonce: null } },
    { nonce: NONCE },
  ),
  ...claim('claim', {
    'successor-number': { next_jkt: 1 },
    'successor-malformed': { next_jkt: 'x' },
    'successor-null': { next_jkt: null },
    'successor-padded': { next_jkt: `${thumbprint(OTHER_KEY)}=` },
  }),
];

const signature = Object.entries({
  'signature-empty': withSignature(() => ''),
  'signature-tampered': withSignature((bytes) => bytes.map((byte, at) => (at === 63 ? byte ^ 1 : byte))),
  'signature-r-tampered': withSignature((bytes) => bytes.map((byte, at) => (at === 0 ? byte ^ 128 : byte))),
  'signature-truncated': withSignature((bytes) => bytes.subarray(0, 63)),
  'signature-with-byte-more': withSignature((bytes) => Buffer.concat([bytes, Buffer.alloc(1)])),
  'signature-der': withSignature(der),
  'signature-zero': withSignature(() => Buffer.alloc(64)),
  'signature-r-zero': withSignature(remake((r, s) => [0n, s])),
  'signature-s-zero': withSignature(remake((r) => [r, 0n])),
  'signature-order': withSignature(remake((r, s, n) => [n, n])),
  'signature-s-beyond-order': withSignature(remake((r, s, n) => [r, s + n < 2n ** 256n ? s + n : n + 1n])),
  'signature-swapped': withSignature(remake((r, s) => [s, r])),
  'signature-of-other-key': make({ sign: es256(OTHER_KEY) }),
  'signature-of-other-proof': `${plainHeader}.${plainClaims}.${withClaims({ jti: 'other' }).split('.')[2]}`,
  'payload-changed-after-signing': `${plainHeader}.${base64url(json({ ...CLAIMS, jti: 'other' }))}.${plainSignature}`,
  'header-changed-after-signing': `${base64url(json({ ...HEADER, kid: 'k1' }))}.${plainClaims}.${plainSignature}`,
  'key-changed-after-signing': `${base64url(json({ ...HEADER, jwk: OTHER_KEY.jwk }))}.${plainClaims}.${plainSignature}`,
}).map(([name, proof]) => refused('signature', name, proof));

export const proofs = [
  ...good,
  ...typ,
  ...alg,
  ...jwk,
  ...doubled,
  ...form,
  ...htm,
  ...htu,
  ...times,
  ...jti,
  ...ath,
  ...nonce,
  ...signature,
];
