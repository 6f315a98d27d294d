//! The replay memory: which proofs were seen, by thumbprint and `jti` (RFC 9449 §11.1).

use std::{collections::HashMap, sync::Mutex};

use counterfoil_protocol::{UnixTime, encoding::sha256, proof::Proof};

/// Proofs that were accepted and could still be played again.
#[derive(Default)]
pub struct ReplayMemory {
    seen: Mutex<HashMap<[u8; 16], UnixTime>>,
}

/// The proof was seen before.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this proof was used before")]
pub struct Replayed;

impl ReplayMemory {
    /// Remembers a proof that passed every other check, until nobody would accept it any more.
    pub fn remember(
        &self,
        proof: &Proof,
        keep_until: UnixTime,
        _now: UnixTime,
    ) -> Result<(), Replayed> {
        let mut name = proof.thumbprint.0.to_vec();
        name.extend_from_slice(proof.jti.as_bytes());
        let digest: [u8; 16] = sha256(&name)[..16].try_into().expect("16 of 32 bytes");
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match seen.insert(digest, keep_until) {
            None => Ok(()),
            Some(_) => Err(Replayed),
        }
    }
}
