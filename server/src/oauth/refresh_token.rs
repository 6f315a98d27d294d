//! Refresh tokens: opaque to clients, self-describing to the server.
//!
//! `mco_rt_` and base64url of family (16 bytes), generation (4), random (32) and a MAC (16). The row of the family
//! holds the SHA-256 of its newest token alone; the MAC lets older and newer generations be recognised as ours.

use aws_lc_rs::hmac;
use counterfoil_protocol::{
    encoding::{base64url, from_base64url_exact},
    secret::Secret,
};

use crate::vault::{mac, mac_matches};

/// The prefix by which people and scanners know a refresh token.
pub const PREFIX: &str = "mco_rt_";

const BODY: usize = 16 + 4 + 32;
const TAG: usize = 16;

/// A refresh token taken apart. Whoever holds one of these knows that the server made it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefreshToken {
    /// The family it belongs to.
    pub family: [u8; 16],
    /// Its place in the family, from 1.
    pub generation: u32,
}

impl RefreshToken {
    /// Writes the token's text, with 256 random bits in it.
    #[must_use]
    pub fn mint(self, random: [u8; 32], key: &hmac::Key) -> Secret {
        let mut bytes = [0; BODY + TAG];
        bytes[..16].copy_from_slice(&self.family);
        bytes[16..20].copy_from_slice(&self.generation.to_be_bytes());
        bytes[20..BODY].copy_from_slice(&random);
        let tag = mac(key, &bytes[..BODY]);
        bytes[BODY..].copy_from_slice(&tag[..TAG]);
        Secret::new(format!("{PREFIX}{}", base64url(&bytes)))
    }

    /// Reads a presented token; `None` for every text that the server did not make.
    #[must_use]
    pub fn parse(text: &str, key: &hmac::Key) -> Option<Self> {
        let bytes = from_base64url_exact::<{ BODY + TAG }>(text.strip_prefix(PREFIX)?)?;
        let (body, tag) = bytes.split_at(BODY);
        if !mac_matches(key, body, tag) {
            return None;
        }
        let family = body[..16].try_into().expect("16 bytes");
        let generation = u32::from_be_bytes(body[16..20].try_into().expect("4 bytes"));
        Some(Self { family, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_minted_is_read() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let other = hmac::Key::new(hmac::HMAC_SHA256, &[2; 32]);
        let token = RefreshToken { family: [3; 16], generation: 7 };
        let text = token.mint([4; 32], &key);
        assert_eq!(RefreshToken::parse(text.expose(), &key), Some(token));
        assert_eq!(RefreshToken::parse(text.expose(), &other), None);
        assert_eq!(text.expose().len(), PREFIX.len() + 91);
        for at in 0..text.expose().len() {
            let mut changed = text.expose().as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(RefreshToken::parse(&changed, &key), None, "{at}");
        }
        for text in
            ["", "mco_rt_", "mco_rt_ü", &text.expose()[..50], &format!(" {}", text.expose())]
        {
            assert_eq!(RefreshToken::parse(text, &key), None);
        }
    }
}
