//! DPoP nonces (RFC 9449 §8) without state: a time step and its MAC.
//!
//! Derived from the clock at every read, so all machines that share the key agree and nothing has to be stored.

use aws_lc_rs::hmac;
use counterfoil_protocol::{
    UnixTime,
    encoding::{base64url, from_base64url_exact},
};

use crate::vault::{mac, mac_matches};

/// Seconds for which one nonce is handed out.
const STEP: i64 = 60;

/// Steps for which a nonce stays good after it was the newest.
const STEPS_ACCEPTED: i64 = 5;

/// The nonce to hand out now.
#[must_use]
pub fn current(key: &hmac::Key, now: UnixTime) -> String {
    let step = (now.0 / STEP).to_be_bytes();
    let mut nonce = [0; 24];
    nonce[..8].copy_from_slice(&step);
    nonce[8..].copy_from_slice(&mac(key, &step)[..16]);
    base64url(&nonce)
}

/// Whether `nonce` was handed out not long ago.
#[must_use]
pub fn is_ours(key: &hmac::Key, nonce: &str, now: UnixTime) -> bool {
    let Some(bytes) = from_base64url_exact::<24>(nonce) else { return false };
    let (step, tag) = bytes.split_at(8);
    let age = now.0 / STEP - i64::from_be_bytes(step.try_into().expect("8 bytes"));
    // One step ahead is another machine's clock.
    mac_matches(key, step, tag) && (-1..=STEPS_ACCEPTED).contains(&age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_its_window() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let other = hmac::Key::new(hmac::HMAC_SHA256, &[2; 32]);
        let made = UnixTime(1_700_000_000);
        let nonce = current(&key, made);
        assert!(is_ours(&key, &nonce, made));
        assert!(is_ours(&key, &nonce, made + STEP * STEPS_ACCEPTED));
        assert!(!is_ours(&key, &nonce, made + STEP * (STEPS_ACCEPTED + 1)));
        assert!(!is_ours(&key, &nonce, made - 2 * STEP));
        assert!(!is_ours(&other, &nonce, made));
        for bad in ["", "x", &nonce[1..], &format!("{nonce}A")] {
            assert!(!is_ours(&key, bad, made));
        }
    }
}
