//! base64url without padding (RFC 7515 §2) and SHA-256, the two encodings everything else is made of.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Encodes bytes as base64url without padding.
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes base64url strictly: no padding, no other alphabet, no stray bits in the last character.
///
/// `None` for anything else, so that one value has exactly one accepted spelling.
#[must_use]
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Decodes base64url of exactly `N` bytes, as strictly as [`from_base64url`].
#[must_use]
pub fn from_base64url_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // `decode_slice` needs room for the estimate of a full last group, hence the length check first.
    if text.len() != N.div_ceil(3) * 4 - [0, 2, 1][N % 3] {
        return None;
    }
    let decoded = from_base64url(text)?;
    (decoded.len() == N).then(|| bytes.copy_from_slice(&decoded))?;
    Some(bytes)
}

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// base64url of SHA-256: the form of `ath` (RFC 9449 §4.2), S256 challenges (RFC 7636 §4.2) and thumbprints.
#[must_use]
pub fn sha256_base64url(bytes: &[u8]) -> String {
    base64url(&sha256(bytes))
}

/// Compares two byte strings without telling by time where they differ.
#[must_use]
pub fn equal_in_constant_time(left: &[u8], right: &[u8]) -> bool {
    use subtle::ConstantTimeEq as _;
    left.ct_eq(right).into()
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_per_value() {
        assert_eq!(from_base64url("AA"), Some(vec![0]));
        for refused in ["AA==", "AB", "A", "+/8", "A A", "AA\n"] {
            assert_eq!(from_base64url(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn exact_length() {
        for n in 0..40_usize {
            let text = base64url(&vec![7; n]);
            assert_eq!(from_base64url_exact::<32>(&text).is_some(), n == 32, "{n}");
        }
        assert_eq!(from_base64url_exact::<0>(""), Some([]));
    }
}
