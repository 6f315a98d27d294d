//! One-time codes: HOTP (RFC 4226) over time (RFC 6238), SHA-1, six digits, thirty seconds, as every app makes them.

use aws_lc_rs::hmac;
use counterfoil_protocol::{UnixTime, encoding::equal_in_constant_time};

/// Seconds of a step.
const STEP: i64 = 30;

/// Digits of a code.
const DIGITS: u32 = 6;

/// Bytes of a secret (RFC 4226 §4: 160 bits).
pub const SECRET_LENGTH: usize = 20;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The step of a moment.
#[must_use]
pub fn step_of(now: UnixTime) -> i64 {
    now.0.div_euclid(STEP)
}

/// The step whose code this is: the present one, the one before or the one after, since clocks differ (RFC 6238 §6).
/// Steps up to `last` are used up.
#[must_use]
pub fn step_of_code(secret: &[u8], code: &str, last: i64, now: UnixTime) -> Option<i64> {
    let present = step_of(now);
    // All three are compared, so that the time taken tells nothing.
    let mut found = None;
    for step in [present - 1, present, present + 1] {
        let is_it = equal_in_constant_time(code_of(secret, step).as_bytes(), code.as_bytes());
        if is_it && step > last {
            found = Some(step);
        }
    }
    found
}

/// The code of a step.
#[must_use]
pub fn code_of(secret: &[u8], step: i64) -> String {
    hotp(secret, step, DIGITS)
}

/// RFC 4226 §5.3.
fn hotp(secret: &[u8], counter: i64, digits: u32) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &counter.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[tag.len() - 1] & 0xf);
    let bytes = [tag[at] & 0x7f, tag[at + 1], tag[at + 2], tag[at + 3]];
    let code = u32::from_be_bytes(bytes) % 10_u32.pow(digits);
    format!("{code:0width$}", width = digits as usize)
}

/// Base32 without padding (RFC 4648 §6), as apps take it.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(BASE32[(held >> bits & 31) as usize]));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(BASE32[(held << (5 - bits) & 31) as usize]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn the_vectors_of_rfc_4226() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, code) in (0..).zip(codes) {
            assert_eq!(code_of(SECRET, counter), code);
        }
    }

    #[test]
    fn the_vectors_of_rfc_6238() {
        for (time, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(hotp(SECRET, step_of(UnixTime(time)), 8), code);
        }
    }

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_step_to_either_side_and_never_back() {
        let now = UnixTime(1_800_000_015);
        let present = step_of(now);
        for (step, last, found) in [
            (present - 2, 0, None),
            (present - 1, 0, Some(present - 1)),
            (present, 0, Some(present)),
            (present + 1, 0, Some(present + 1)),
            (present + 2, 0, None),
            (present, present - 1, Some(present)),
            (present, present, None),
            (present - 1, present, None),
            (present + 1, present, Some(present + 1)),
            (present + 1, present + 1, None),
        ] {
            let code = code_of(SECRET, step);
            assert_eq!(step_of_code(SECRET, &code, last, now), found, "{step} after {last}");
        }
        for code in ["", "0", "00000000", "abcdef"] {
            assert_eq!(step_of_code(SECRET, code, 0, now), None);
        }
    }
}
