import {
  base64url,
  ecdsa,
  hs256,
  json,
  jws,
  K256_KEY,
  KEY,
  OTHER_KEY,
  rs256,
  RSA_PRIVATE,
  RSA_PUBLIC,
  thumbprint,
} from './jose.mjs';

const NOW = 1767225600;
const ISSUER = 'https://pay.example';
const AUDIENCE = 'https://pay.example/api/partner/v1';
const CLIENT = 'mco_app_vector';
const SCOPE = 'company:read makepay:payment-links:read makepay:payment-links:write';

const JWKS = {
  keys: [
    { ...KEY.jwk, kid: 'es-1', use: 'sig', alg: 'ES256' },
    { ...RSA_PUBLIC, kid: 'rs-1', use: 'sig', alg: 'RS256' },
  ],
};
const HEADER = { typ: 'at+jwt', alg: 'ES256', kid: 'es-1' };
const RS_HEADER = { typ: 'at+jwt', alg: 'RS256', kid: 'rs-1' };
const CLAIMS = {
  iss: ISSUER,
  aud: AUDIENCE,
  sub: 'user-1',
  client_id: CLIENT,
  scope: SCOPE,
  iat: NOW,
  exp: NOW + 3600,
  jti: 'at-1',
  cnf: { jkt: thumbprint(OTHER_KEY) },
  company_id: 'company-1',
  company_name: 'Café Cupola',
  grant_id: 'grant-1',
  installation_id: CLIENT,
};

const es256 =
  (key = KEY) =>
  (input) =>
    ecdsa(key, input);
const omit = (object, name) => Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));
const make = ({ header = HEADER, claims = CLAIMS, sign = es256() } = {}) => jws(header, claims, sign);
const withHeader = (change, sign) => make({ header: { ...HEADER, ...change }, sign });
const withClaims = (change) => make({ claims: { ...CLAIMS, ...change } });
const set = (...keys) => ({ jwks: json({ keys }) });

const client = (name, token, given) => ({
  name,
  issuer: ISSUER,
  audience: AUDIENCE,
  client_id: CLIENT,
  jkt: thumbprint(OTHER_KEY),
  scope: SCOPE,
  now: NOW,
  jwks: json(JWKS),
  ...given,
  token,
});
const accepted = (name, token, given) => ({ ...client(name, token, given), expect: 'accepted' });
const refused = (cause, name, token, given) => ({ ...client(name, token, given), expect: 'refused', cause });
const claim = (cause, values) =>
  Object.entries(values).map(([name, change]) => refused(cause, name, withClaims(change)));
const without = (cause, ...names) =>
  names.map((name) => refused(cause, `${name.replaceAll('_', '-')}-missing`, make({ claims: omit(CLAIMS, name) })));

const ES = make();
const RS = make({ header: RS_HEADER, sign: rs256 });
const [esKey, rsKey] = JWKS.keys;
const [header, payload, signature] = ES.split('.');

export const accessTokens = [
  accepted('es256', ES),
  accepted('rs256', RS),
  accepted('typ-in-other-case', withHeader({ typ: 'AT+JWT' })),
  accepted('typ-as-media-type', withHeader({ typ: 'application/at+jwt' })),
  accepted('audience-among-others', withClaims({ aud: ['https://other.example', AUDIENCE] })),
  accepted('scope-in-other-order', withClaims({ scope: SCOPE.split(' ').reverse().join(' ') })),
  accepted('unknown-claims', withClaims({ extra: { deep: [1] } })),
  accepted('times-with-fractions', withClaims({ iat: NOW + 0.5, exp: NOW + 3600.5, nbf: NOW - 0.5 })),
  accepted('iat-and-nbf-slightly-ahead', withClaims({ iat: NOW + 30, nbf: NOW + 30 })),
  accepted('expired-but-replayed', ES, { now: NOW + 7200, replayed: 'yes' }),
  accepted('sub-and-jti-missing', make({ claims: omit(omit(CLAIMS, 'sub'), 'jti') })),
  accepted('cnf-with-more', withClaims({ cnf: { jkt: thumbprint(OTHER_KEY), 'x5t#S256': 'A' } })),
  accepted('own-key-in-header-is-ignored', withHeader({ jwk: OTHER_KEY.jwk, jku: 'https://evil.example/jwks' })),
  accepted('kid-missing-and-one-key', make({ header: omit(HEADER, 'kid') }), set(esKey)),
  accepted(
    'kid-missing-and-one-usable-key',
    make({ header: omit(HEADER, 'kid') }),
    set(esKey, { ...rsKey, use: 'enc' }),
  ),
  accepted('jwk-without-alg-and-use', RS, set({ ...RSA_PUBLIC, kid: 'rs-1' })),
  accepted('jwk-with-key-ops', RS, set({ ...RSA_PUBLIC, kid: 'rs-1', key_ops: ['verify'] })),
  accepted(
    'unusable-keys-beside',
    ES,
    set({ kty: 'OKP', crv: 'Ed25519', x: 'AA', kid: 'ed-1' }, { ...K256_KEY.jwk, kid: 'k1' }, esKey),
  ),

  refused('typ', 'typ-missing', make({ header: omit(HEADER, 'typ') })),
  refused('typ', 'typ-jwt', withHeader({ typ: 'JWT' })),
  refused('typ', 'typ-of-a-proof', withHeader({ typ: 'dpop+jwt' })),
  refused(
    'alg',
    'alg-none',
    withHeader({ alg: 'none' }, () => ''),
  ),
  refused('alg', 'alg-missing', make({ header: omit(HEADER, 'alg') })),
  refused(
    'alg',
    'alg-hs256-secret-is-public-key',
    withHeader({ alg: 'HS256' }, (input) => hs256(json(esKey), input)),
  ),
  refused('alg', 'alg-of-other-key', withHeader({ alg: 'RS256' }, rs256)),
  refused('alg', 'kid-of-other-key', withHeader({ kid: 'rs-1' })),
  refused('kid', 'kid-unknown', withHeader({ kid: 'es-2' })),
  refused('kid', 'kid-a-path', withHeader({ kid: '../../dev/null' })),
  refused('kid', 'kid-number', withHeader({ kid: 1 }), set(omit(esKey, 'kid'))),
  refused('kid', 'kid-missing-and-two-keys', make({ header: omit(HEADER, 'kid') })),
  refused('kid', 'no-keys', ES, set()),
  refused('kid', 'key-for-encryption', ES, set({ ...esKey, use: 'enc' })),
  refused('kid', 'key-for-signing-only', ES, set({ ...esKey, key_ops: ['sign'] })),
  refused('kid', 'key-of-other-algorithm', RS, set({ ...rsKey, alg: 'PS256' })),
  refused('kid', 'key-private-ec', ES, set({ ...esKey, d: base64url(Buffer.alloc(32, 7)) })),
  refused('kid', 'key-private-rsa', RS, set({ ...RSA_PRIVATE, kid: 'rs-1' })),
  refused(
    'kid',
    'key-rsa-of-1024-bits',
    RS,
    set({ ...rsKey, n: base64url(Buffer.from(rsKey.n, 'base64url').subarray(0, 128)) }),
  ),
  refused(
    'signature',
    'signature-tampered',
    `${header}.${payload}.${signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`,
  ),
  refused('signature', 'signature-empty', `${header}.${payload}.`),
  refused('signature', 'signature-of-other-key', make({ sign: es256(OTHER_KEY) })),
  refused(
    'signature',
    'cnf-changed-after-signing',
    `${header}.${base64url(json({ ...CLAIMS, cnf: { jkt: thumbprint(KEY) } }))}.${signature}`,
  ),
  refused('signature', 'rs256-signature-tampered', `${RS.slice(0, -4)}AAAA`),
  refused('signature', 'rs256-signature-of-es256', make({ header: RS_HEADER })),
  refused('compact', 'empty', ''),
  refused('compact', 'opaque', 'mco_at_2vY'),
  refused('compact', 'five-parts', `${ES}..`),
  refused('header', 'header-doubled-alg', make({ header: `${json(HEADER).slice(0, -1)},"alg":"ES256"}` })),
  refused(
    'payload',
    'payload-doubled-cnf',
    make({ claims: `${json(CLAIMS).slice(0, -1)},"cnf":{"jkt":"${thumbprint(KEY)}"}}` }),
  ),
  refused('crit', 'crit-empty', withHeader({ crit: [] })),
  refused('too-long', 'longer-than-8192', withClaims({ padding: 'a'.repeat(6000) })),

  ...without('claims', 'iss', 'aud', 'client_id', 'scope', 'iat', 'exp'),
  ...without('key', 'cnf'),
  ...without('company', 'company_id', 'grant_id'),
  ...without('client', 'installation_id'),
  ...claim('claims', {
    'aud-number': { aud: 1 },
    'aud-array-with-number': { aud: [AUDIENCE, 1] },
    'scope-array': { scope: SCOPE.split(' ') },
    'scope-with-double-space': { scope: 'a  b' },
    'exp-string': { exp: `${NOW + 3600}` },
    'iat-1e300': { iat: 1e300 },
    'cnf-without-jkt': { cnf: { 'x5t#S256': 'A' } },
    'jkt-malformed': { cnf: { jkt: 'x' } },
    'nbf-string': { nbf: `${NOW}` },
  }),
  ...claim('iss', { 'iss-other': { iss: 'https://evil.example' }, 'iss-with-slash': { iss: `${ISSUER}/` } }),
  ...claim('aud', {
    'aud-other': { aud: 'https://other.example' },
    'aud-empty': { aud: [] },
    'aud-with-slash': { aud: `${AUDIENCE}/` },
  }),
  ...claim('client', {
    'client-other': { client_id: 'mco_app_other' },
    'installation-other': { installation_id: 'mco_app_other' },
  }),
  ...claim('key', { 'jkt-other': { cnf: { jkt: thumbprint(KEY) } } }),
  ...claim('scope', {
    'scope-less': { scope: 'company:read' },
    'scope-more': { scope: `${SCOPE} admin` },
    'scope-empty': { scope: '' },
  }),
  ...claim('time', {
    'exp-now': { exp: NOW },
    'exp-zero': { exp: 0 },
    'exp-before-iat': { iat: NOW + 20, exp: NOW + 10 },
    'iat-ahead': { iat: NOW + 31 },
    'nbf-ahead': { nbf: NOW + 31 },
  }),
  ...claim('company', { 'company-empty': { company_id: '' }, 'grant-empty': { grant_id: '' } }),
];
