// DPoP proofs, judged as plugins in the field make them, and the RS256 key that signs access tokens.
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';

export const sha256 = (data) => createHash('sha256').update(data).digest('base64url');
export const random = (bytes = 32) => randomBytes(bytes).toString('base64url');

/** An answer that is not a success; `error` is a code or a sentence, as the contract has it. */
export class Refusal extends Error {
  constructor(status, error, headers = {}) {
    super(error);
    Object.assign(this, { status, error, headers });
  }
}

export function thumbprint({ crv, kty, x, y }) {
  return sha256(JSON.stringify({ crv, kty, x, y }));
}

function decode(part) {
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.toString('base64url') !== part) throw new SyntaxError('not canonical base64url');
  return bytes;
}

function parse(proof) {
  try {
    const parts = proof.split('.');
    if (parts.length !== 3 || proof.length > 8192) return null;
    const [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(decode(part).toString('utf8')));
    return { header, claims, input: `${parts[0]}.${parts[1]}`, signature: decode(parts[2]) };
  } catch {
    return null;
  }
}

function isBareP256(jwk) {
  const coordinate = (value) => typeof value === 'string' && /^[A-Za-z0-9_-]{43}$/.test(value);
  return jwk?.kty === 'EC' && jwk.crv === 'P-256' && coordinate(jwk.x) && coordinate(jwk.y) && !('d' in jwk);
}

function signedBy(jwk, input, signature) {
  try {
    const key = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: jwk.x, y: jwk.y }, format: 'jwk' });
    return signature.length === 64 && verify(
      'sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }, signature,
    );
  } catch {
    return false;
  }
}

/** The memory of used proofs and of nonces given out. */
export class ProofJudge {
  #seen = new Map();
  #nonces = new Set();
  nonceRequired = false;

  constructor(world) {
    this.world = world;
  }

  freshNonce() {
    const nonce = random(16);
    this.#nonces.add(nonce);
    return nonce;
  }

  /** Judges the one proof in `headers` (a list, as received) and answers the thumbprint of its key. */
  judge(headers, { method, path, accessToken, status = 400, name = 'DPoP' }) {
    const fail = (sentence) => { throw new Refusal(status, `The ${name} proof ${sentence}.`); };
    if (headers?.length !== 1) fail('is missing or not single');
    const { header, claims, input, signature } = parse(headers[0]) ?? fail('is malformed');
    if (header.typ !== 'dpop+jwt' || header.alg !== 'ES256') fail('has another type or algorithm');
    if (!isBareP256(header.jwk)) fail('has no bare P-256 key');
    if (!signedBy(header.jwk, input, signature)) fail('has a wrong signature');
    if (claims.htm !== method) fail('is for another method');
    if (claims.htu !== `${this.world.origin}${path}`) fail('is for another URL');
    if (typeof claims.iat !== 'number' || Math.abs(claims.iat - this.world.now()) > 300) fail('is not from this time');
    if (typeof claims.jti !== 'string' || claims.jti === '' || claims.jti.length > 256) fail('has no usable jti');
    if (claims.ath !== (accessToken === undefined ? undefined : sha256(accessToken))) fail('has a wrong ath');
    if (this.nonceRequired && !this.#nonces.has(claims.nonce)) this.#demandNonce(accessToken !== undefined);
    const jkt = thumbprint(header.jwk);
    const id = `${jkt}.${claims.jti}`;
    if (this.#seen.has(id)) fail('was used before');
    this.#seen.set(id, claims.iat);
    return jkt;
  }

  #demandNonce(resource) {
    const headers = { 'DPoP-Nonce': this.freshNonce() };
    if (resource) headers['WWW-Authenticate'] = 'DPoP error="use_dpop_nonce", algs="ES256"';
    throw new Refusal(resource ? 401 : 400, 'use_dpop_nonce', headers);
  }
}

/** The server's signing keys: RS256, retired ones stay published. */
export class SigningKeys {
  #keys = [];

  constructor() {
    this.rotate();
  }

  rotate() {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { kty, n, e } = publicKey.export({ format: 'jwk' });
    this.#keys.unshift({ privateKey, jwk: { kty, n, e, kid: random(8), alg: 'RS256', use: 'sig' } });
  }

  jwks() {
    return { keys: this.#keys.map(({ jwk }) => jwk) };
  }

  sign(claims) {
    const { privateKey, jwk } = this.#keys[0];
    const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const input = `${encode({ typ: 'at+jwt', alg: 'RS256', kid: jwk.kid })}.${encode(claims)}`;
    return `${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`;
  }
}
