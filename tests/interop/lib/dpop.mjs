// P-256 keys and DPoP proofs, right ones and every kind of wrong one.
import { createHash, generateKeyPairSync, randomBytes, randomUUID, sign } from 'node:crypto';

export const base64url = (data) => Buffer.from(data).toString('base64url');
export const sha256 = (data) => createHash('sha256').update(data).digest('base64url');
export const random = (bytes = 32) => randomBytes(bytes).toString('base64url');
export const hex40 = () => randomBytes(20).toString('hex');
export const now = () => Math.floor(Date.now() / 1000);

export class Key {
  constructor(curve = 'P-256') {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: curve });
    this.private = privateKey;
    this.jwk = publicKey.export({ format: 'jwk' });
    this.privateJwk = privateKey.export({ format: 'jwk' });
    this.jkt = sha256(JSON.stringify({ crv: this.jwk.crv, kty: this.jwk.kty, x: this.jwk.x, y: this.jwk.y }));
  }

  sign(input, dsaEncoding = 'ieee-p1363') {
    return sign('sha256', Buffer.from(input), { key: this.private, dsaEncoding });
  }

  /**
   * A proof for `method` and `url`. Knobs: `claims` and `header` replace or (with undefined) remove members,
   * `rawHeader` and `rawClaims` replace the JSON text, `signer` is another key, `signature` edits the bytes,
   * `edit` the finished text.
   */
  proof(method, url, { token, nonce, claims, header, rawHeader, rawClaims, signer = this, signature, edit } = {}) {
    const head = { typ: 'dpop+jwt', alg: 'ES256', jwk: this.jwk, ...header };
    const body = {
      htm: method, htu: url.split(/[?#]/)[0], iat: now(), jti: randomUUID(),
      ...(token !== undefined && { ath: sha256(token) }),
      ...(nonce !== undefined && { nonce }),
      ...claims,
    };
    const parts = [rawHeader?.(head) ?? JSON.stringify(head), rawClaims?.(body) ?? JSON.stringify(body)];
    const input = parts.map((part) => base64url(part)).join('.');
    const bytes = signer.sign(input);
    const text = `${input}.${base64url(signature?.(bytes, input) ?? bytes)}`;
    return edit?.(text) ?? text;
  }
}

export function pkce() {
  const verifier = random(64);
  return { verifier, challenge: sha256(verifier) };
}

const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The other signature that ECDSA lets anybody make of a valid one: (r, n - s). */
export function malleate(bytes) {
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const other = (P256_ORDER - s).toString(16).padStart(64, '0');
  return Buffer.concat([bytes.subarray(0, 32), Buffer.from(other, 'hex')]);
}

export const malleateProof = (proof) => {
  const [header, claims, signature] = proof.split('.');
  return `${header}.${claims}.${base64url(malleate(Buffer.from(signature, 'base64url')))}`;
};
