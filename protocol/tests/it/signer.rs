//! A key that signs the same message the same way every time, so that a failing property fails again.

use std::convert::Infallible;

use counterfoil_protocol::{encoding::sha256, jwk::PublicKey, proof::Signer};
use p256::{
    ProjectivePoint, Scalar, U256,
    elliptic_curve::{ops::Reduce as _, point::AffineCoordinates as _, sec1::ToSec1Point as _},
};

/// A P-256 key made from a seed. Its nonces are hashes: good for tests alone.
#[derive(Debug)]
pub(crate) struct TestKey {
    secret: Scalar,
    public: PublicKey,
}

impl TestKey {
    pub(crate) fn new(seed: u64) -> Self {
        let secret = scalar(&[b"key", seed.to_be_bytes().as_slice()].concat());
        let point = (ProjectivePoint::GENERATOR * secret).to_affine().to_sec1_point(false);
        let point = point.as_bytes().try_into().expect("an uncompressed point");
        Self { secret, public: PublicKey::from_uncompressed(point).expect("a point on the curve") }
    }
}

impl Signer for TestKey {
    type Error = Infallible;

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], Infallible> {
        let nonce = scalar(&[self.secret.to_bytes().as_slice(), message].concat());
        let inverse = Option::<Scalar>::from(nonce.invert()).expect("a nonce that is not zero");
        let point = (ProjectivePoint::GENERATOR * nonce).to_affine();
        let r = Scalar::reduce(&U256::from_be_slice(&point.x()));
        let s = inverse * (scalar(message) + r * self.secret);
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r.to_bytes());
        signature[32..].copy_from_slice(&s.to_bytes());
        Ok(signature)
    }
}

fn scalar(bytes: &[u8]) -> Scalar {
    Scalar::reduce(&U256::from_be_slice(&sha256(bytes)))
}
