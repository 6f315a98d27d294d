// What the protocol must accept and refuse, once more and independently: plain JavaScript and node:crypto. A judge
// answers {cause} for what is refused, and otherwise what it read.
import { createHash, createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto';

import { fromBase64url, parseObject } from './strict.mjs';

const MAX_LENGTH = 8192;
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
const sha256 = (bytes) => createHash('sha256').update(bytes, 'latin1').digest('base64url');
const is = (value) => typeof value === 'string';
const isThirtyTwoBytes = (text) => is(text) && fromBase64url(text)?.length === 32;
const sameText = (a, b) => a.length === b.length && timingSafeEqual(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'));

export const hashOf = (canonical) => sha256(canonical);

/** A public P-256 key: its thumbprint and a key that verifies. */
export function judgeKey(jwk) {
  if (PRIVATE.some((name) => Object.hasOwn(jwk, name))) return { cause: 'private' };
  if (jwk.kty !== 'EC' || jwk.crv !== 'P-256') return { cause: 'curve' };
  const { kty, crv, x, y } = jwk;
  if (!isThirtyTwoBytes(x) || !isThirtyTwoBytes(y)) return { cause: 'coordinate' };
  try {
    return {
      thumbprint: sha256(JSON.stringify({ crv, kty, x, y })),
      key: createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' }),
    };
  } catch {
    return { cause: 'off-curve' };
  }
}

function readJws(text) {
  if (text.length > MAX_LENGTH) return { cause: 'too-long' };
  const parts = text.split('.');
  const bytes = parts.map(fromBase64url);
  if (parts.length !== 3 || bytes.includes(null)) return { cause: 'compact' };
  const header = parseObject(bytes[0]);
  if (!header) return { cause: 'header' };
  if (Object.hasOwn(header, 'crit')) return { cause: 'crit' };
  const claims = parseObject(bytes[1]);
  if (!claims) return { cause: 'payload' };
  return { header, claims, input: Buffer.from(`${parts[0]}.${parts[1]}`), signature: bytes[2] };
}

const es256 = (key, { input, signature }) => signature.length === 64
  && verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, signature);

/** Whole seconds, or undefined for what is no time. */
function time(claim) {
  return typeof claim === 'number' && Math.abs(claim) <= 2 ** 63 && (Math.abs(claim) < 2 ** 53 || !/e/.test(String(claim)))
    ? Math.floor(claim) : undefined;
}

/** The canonical spelling of an http(s) URI without query and fragment, or null. */
export function canonicalUri(text) {
  const match = /^(https?):\/\/(\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::(\d*))?(\/[^?#]*)?(?:[?#].*)?$/i.exec(text);
  if (!match || !/^[\x21-\x7e]+$/.test(text) || text.includes('\\')) return null;
  const scheme = match[1].toLowerCase();
  const port = match[3] === undefined || match[3] === '' ? '' : match[3];
  if (port !== '' && (String(Number(port)) !== port || Number(port) > 65535)) return null;
  if (match[2].startsWith('[') && !URL.canParse(`http://${match[2]}/`)) return null;
  const shown = port === '' || port === { http: '80', https: '443' }[scheme] ? '' : `:${port}`;
  return `${scheme}://${match[2].toLowerCase()}${shown}${match[4] ?? '/'}`;
}

export function judgeProof({ method, url, now, window, access_token: token, nonce, nonce_required: required, proof }) {
  const jws = readJws(proof);
  if (jws.cause) return jws;
  const { header, claims } = jws;
  if (header.typ !== 'dpop+jwt') return { cause: 'typ' };
  if (header.alg !== 'ES256') return { cause: 'alg' };
  const isObject = typeof header.jwk === 'object' && header.jwk !== null && !Array.isArray(header.jwk);
  const { cause, key, thumbprint } = isObject ? judgeKey(header.jwk) : { cause: 'curve' };
  if (cause) return { cause: `jwk-${cause}` };
  if (claims.htm !== method) return { cause: 'htm' };
  if (!is(claims.htu) || (canonicalUri(claims.htu) ?? 'none') !== canonicalUri(url)) return { cause: 'htu' };
  if (!is(claims.jti) || !/^[\x21-\x7e]{1,256}$/.test(claims.jti)) return { cause: 'jti' };
  if (claims.ath !== (token === undefined ? undefined : sha256(token))) return { cause: 'ath' };
  if (!es256(key, jws)) return { cause: 'signature' };
  const [past, future] = window.split(' ').map(Number);
  const iat = time(claims.iat);
  if (iat === undefined) return { cause: 'iat' };
  if (now - iat > past || iat - now > future) return { cause: 'stale' };
  if ('exp' in claims && !(time(claims.exp) > now)) return { cause: 'expired' };
  if ('nbf' in claims && !(time(claims.nbf) <= now + future)) return { cause: 'expired' };
  if ('nonce' in claims ? is(claims.nonce) && claims.nonce !== nonce : required) return { cause: 'nonce' };
  if ('nonce' in claims && !is(claims.nonce)) return { cause: 'claim' };
  if ('next_jkt' in claims && !isThirtyTwoBytes(claims.next_jkt)) return { cause: 'claim' };
  return { jkt: thumbprint, jti: claims.jti, iat: String(iat), successor: claims.next_jkt };
}

function usableKey(jwk) {
  const uses = (jwk.use ?? 'sig') === 'sig' && (jwk.key_ops ?? ['verify']).includes('verify');
  if (!uses || PRIVATE.some((name) => Object.hasOwn(jwk, name))) return null;
  if (jwk.kty === 'EC' && (jwk.alg ?? 'ES256') === 'ES256') {
    const { key } = judgeKey(jwk);
    return key ? { kid: jwk.kid, alg: 'ES256', verifies: (jws) => es256(key, jws) } : null;
  }
  if (jwk.kty !== 'RSA' || (jwk.alg ?? 'RS256') !== 'RS256') return null;
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  if (key.asymmetricKeyDetails.modulusLength < 2048) return null;
  return { kid: jwk.kid, alg: 'RS256', verifies: ({ input, signature }) => verify('sha256', input, key, signature) };
}

const scopeNames = (text) => (is(text) && canonicalScope(text) !== null ? new Set(text.split(' ').filter(Boolean)) : null);

function claimsAreWellTyped({ iss, aud, client_id: client, scope, iat, exp, nbf, cnf, ...more }) {
  const audiences = is(aud) || (Array.isArray(aud) && aud.every(is));
  const bound = cnf === undefined || (typeof cnf === 'object' && isThirtyTwoBytes(cnf?.jkt));
  const named = [
    'company_id', 'grant_id', 'installation_id',
  ].every((name) => more[name] === undefined || is(more[name]));
  return is(iss) && audiences && is(client) && scopeNames(scope) && time(iat) !== undefined && time(exp) !== undefined
    && (nbf === undefined || time(nbf) !== undefined) && bound && named;
}

/** What answers at a store's own address: signed by the installation's key, about exactly this, now. */
export function judgeOwnership({ issuer, client_id: client, site_url: site, nonce, now, jkt, answer }) {
  const jws = answer.length > 4096 ? { cause: 'too-long' } : readJws(answer);
  if (jws.cause) return { cause: 'malformed' };
  const { header, claims } = jws;
  if (header.typ !== 'counterfoil-ownership+jwt') return { cause: 'type' };
  if (header.alg !== 'ES256') return { cause: 'alg' };
  const isObject = typeof header.jwk === 'object' && header.jwk !== null && !Array.isArray(header.jwk);
  const { cause, key, thumbprint } = isObject ? judgeKey(header.jwk) : { cause: 'curve' };
  if (cause) return { cause: 'jwk' };
  if (thumbprint !== jkt) return { cause: 'key' };
  if (!es256(key, jws)) return { cause: 'signature' };
  const expected = { iss: client, sub: client, aud: issuer, site_url: site, nonce };
  for (const [name, value] of Object.entries(expected)) if (claims[name] !== value) return { cause: name };
  const iat = time(claims.iat);
  return iat !== undefined && Math.abs(iat - now) <= 300 ? {} : { cause: 'stale' };
}

export function judgeAccessToken({ issuer, audience, client_id: client, jkt, scope, now, replayed, jwks, token }) {
  const jws = readJws(token);
  if (jws.cause) return jws;
  const { header, claims } = jws;
  if (!is(header.typ) || !/^(application\/)?at\+jwt$/i.test(header.typ)) return { cause: 'typ' };
  const keys = JSON.parse(jwks).keys.map(usableKey).filter(Boolean);
  const key = header.kid === undefined ? keys.length === 1 && keys[0] : keys.find(({ kid }) => kid === header.kid);
  if (!key) return { cause: 'kid' };
  if (header.alg !== key.alg) return { cause: 'alg' };
  if (!key.verifies(jws)) return { cause: 'signature' };
  if (!claimsAreWellTyped(claims)) return { cause: 'claims' };
  if (claims.iss !== issuer) return { cause: 'iss' };
  if (![claims.aud].flat().includes(audience)) return { cause: 'aud' };
  if (claims.client_id !== client || claims.installation_id !== client) return { cause: 'client' };
  if (claims.cnf?.jkt !== jkt) return { cause: 'key' };
  const [given, asked] = [scopeNames(claims.scope), scopeNames(scope)];
  if (given.size !== asked.size || ![...given].every((name) => asked.has(name))) return { cause: 'scope' };
  const [iat, exp, nbf] = [claims.iat, claims.exp, claims.nbf ?? claims.iat].map(time);
  if (iat > now + 30 || nbf > now + 30 || exp <= iat || (exp <= now && !replayed)) return { cause: 'time' };
  if (!claims.company_id || !claims.grant_id) return { cause: 'company' };
  return {};
}

export function judgeDelivery({ headers, ...delivery }) {
  if (headers === undefined) return judgeSigned(delivery);
  const names = ['x-makepay-signature', 'makecrypto-signature'];
  const found = JSON.parse(headers).filter(([name]) => names.includes(name.toLowerCase()));
  if (found.length !== 1) return { cause: found.length === 0 ? 'absent' : 'malformed' };
  return judgeSigned({ ...delivery, header: found[0][1] });
}

function judgeSigned({ secret, header, body, now, tolerance }) {
  const parts = header.split(',').map((part) => /^\s*([^=]*)=(.*?)\s*$/s.exec(part)?.slice(1));
  const valuesOf = (wanted) => parts.filter((part) => part?.[0] === wanted).map(([, value]) => value);
  const [times, signatures] = [valuesOf('t'), valuesOf('v1')];
  const malformed = parts.includes(undefined) || times.length !== 1 || signatures.length < 1 || signatures.length > 8;
  if (malformed || !/^\d{1,18}$/.test(times[0])) return { cause: 'malformed' };
  const right = createHmac(
    'sha256', Buffer.from(secret, 'latin1'),
  ).update(`${times[0]}.`).update(body, 'latin1').digest('hex');
  if (!signatures.some((one) => sameText(one, right))) return { cause: 'mismatch' };
  return Math.abs(now - Number(times[0])) > tolerance ? { cause: 'stale' } : {};
}

export function judgeVerifier({ verifier, challenge }) {
  if (fromBase64url(challenge)?.length !== 32) return { cause: 'challenge' };
  if (!/^[A-Za-z0-9._~-]{43,128}$/.test(verifier)) return { cause: 'verifier' };
  return sha256(verifier) === challenge ? {} : { cause: 'mismatch' };
}

/** Each name once, in the order of first mention; null for what is no scope. */
export function canonicalScope(text) {
  if (text === '') return '';
  const wellFormed = text.length <= 2048 && /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(text);
  return wellFormed ? [...new Set(text.split(' '))].join(' ') : null;
}

/** Whether a store's callback is what its platform's rule makes of its site. */
export function admitsCallback({ site, rule, callback }) {
  const literal = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const pattern = rule.replace('{site_url}', site).split('{segment}').map(literal).join('[A-Za-z0-9_-]{1,100}');
  return new RegExp(`^${pattern}$(?!\\n)`).test(callback);
}

const PRIVATE_HOST = /^((.*\.)?localhost|(0|10|127|169\.254|172\.(1[6-9]|2\d|3[01])|192\.168|255)\..*|\[.*\])$/;
const LOOPBACK = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]))(?::([1-9]\d{0,4}))?(\/.*)$/s;

function mayBeRegistered(uri) {
  if (/^[a-z][a-z0-9+-]*\.[a-z0-9+.-]*:\/(?!\/)/.test(uri)) return /^[\w.~:/?@!$&'()+,;=%-]+$/.test(uri);
  if (!URL.canParse(uri) || /[#*@\\]|\?$/.test(uri)) return false;
  const url = new URL(uri);
  const canonical = url.href === uri || url.href === `${uri}/`;
  const local = PRIVATE_HOST.test(url.hostname);
  const loopback = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
  return canonical && url.port !== '0' && ((url.protocol === 'https:' && !local) || (url.protocol === 'http:' && loopback));
}

/** Whether an application registered with one callback may name another text for it. */
export function judgeRedirect({ registered, presented, native }) {
  if (!mayBeRegistered(registered)) return { cause: 'registration' };
  const [own, named] = [LOOPBACK.exec(registered), LOOPBACK.exec(presented)];
  const sameButPort = own && named && own[1] === named[1] && own[3] === named[3] && Number(named[2] ?? 80) < 65536;
  return presented === registered || (native === 'yes' && sameButPort) ? {} : { refused: true };
}
