// Signing for vectors: every signature comes out the same on every run.

import { createECDH, createHash, createHmac, createPrivateKey, sign } from 'node:crypto';

export const base64url = (bytes) => Buffer.from(bytes).toString('base64url');
export const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
export const json = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

const big = (bytes) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const bytes = (number, size) => Buffer.from(number.toString(16).padStart(2 * size, '0'), 'hex');
const power = (base, exponent, modulus) => {
  let result = 1n;
  for (let square = base % modulus, rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
};

const curve = (crv, ecdh, hash, size, order) => ({ crv, ecdh, hash, size, order: BigInt(order) });
const P256_ORDER = '0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
const P256 = curve('P-256', 'prime256v1', 'sha256', 32, P256_ORDER);
const P384 = curve(
  'P-384',
  'secp384r1',
  'sha384',
  48,
  '0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
);
const K256 = curve(
  'secp256k1',
  'secp256k1',
  'sha256',
  32,
  '0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141',
);

const multiply = ({ ecdh, size }, scalar) => {
  const key = createECDH(ecdh);
  key.setPrivateKey(bytes(scalar, size));
  const point = key.getPublicKey();
  return { x: point.subarray(1, size + 1), y: point.subarray(size + 1) };
};

const key = (on, d) => {
  const { x, y } = multiply(on, d);
  return { curve: on, d, jwk: { kty: 'EC', crv: on.crv, x: base64url(x), y: base64url(y) } };
};

// The private keys that RFC 7515 A.3 and RFC 7517 A.2 print: known to everybody, good for nothing but this.
export const KEY = key(P256, big(Buffer.from('jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI', 'base64url')));
export const OTHER_KEY = key(P256, big(Buffer.from('870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE', 'base64url')));
export const P384_KEY = key(P384, big(sha256('P-384')));
export const K256_KEY = key(K256, big(sha256('secp256k1')));

// ECDSA, its nonce a hash of key and message. Signatures are `r || s`.
export const ecdsa = ({ curve: on, d }, message) => {
  const z = big(createHash(on.hash).update(message).digest());
  const k = big(createHmac(on.hash, bytes(d, on.size)).update(message).digest()) % on.order;
  const r = big(multiply(on, k).x) % on.order;
  const s = (power(k, on.order - 2n, on.order) * (z + r * d)) % on.order;
  return Buffer.concat([bytes(r, on.size), bytes(s, on.size)]);
};

// What can be done to `r || s` on P-256.
export const remake = (change) => (signature) => {
  const [r, s] = change(big(signature.subarray(0, 32)), big(signature.subarray(32)), P256.order);
  return Buffer.concat([bytes(r, 32), bytes(s, 32)]);
};

export const der = (signature) => {
  const integer = (part) => {
    const minimal = bytes(big(part), 32);
    const padded = minimal[0] & 0x80 ? Buffer.concat([Buffer.alloc(1), minimal]) : minimal;
    return Buffer.concat([Buffer.from([2, padded.length]), padded]);
  };
  const body = Buffer.concat([integer(signature.subarray(0, 32)), integer(signature.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
};

export const thumbprint = ({ jwk: { crv, kty, x, y } }) => base64url(sha256(JSON.stringify({ crv, kty, x, y })));

// The key of RFC 7515 A.2.
const RSA = {
  kty: 'RSA',
  n: 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
  e: 'AQAB',
  d: 'Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ',
  p: '4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc',
  q: 'uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc',
  dp: 'BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0',
  dq: 'h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU',
  qi: 'IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U',
};
export const RSA_PUBLIC = { kty: 'RSA', n: RSA.n, e: RSA.e };
export const RSA_PRIVATE = RSA;
export const rs256 = (message) => sign('sha256', Buffer.from(message), createPrivateKey({ key: RSA, format: 'jwk' }));
export const hs256 = (secret, message) => createHmac('sha256', secret).update(message).digest();

// A point with the smallest x there is, that x written as x + p: 32 bytes that are no reduced field element.
export const UNREDUCED_POINT = (() => {
  const p = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
  const b = BigInt('0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b');
  for (let x = 0n; ; x += 1n) {
    const square = (((x ** 3n - 3n * x + b) % p) + p) % p;
    const y = power(square, (p + 1n) / 4n, p);
    if ((y * y) % p === square) return { x: base64url(bytes(x + p, 32)), y: base64url(bytes(y, 32)) };
  }
})();

// A compact JWS. Header and claims are objects or, where the JSON itself is the point, text or bytes.
export const jws = (header, claims, signature) => {
  const part = (value) => base64url(Buffer.isBuffer(value) ? value : json(value));
  const input = `${part(header)}.${part(claims)}`;
  return `${input}.${base64url(signature(input))}`;
};
