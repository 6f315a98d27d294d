//! Which paths are plain: those that have one meaning, whoever reads them.
//!
//! What is judged here is forwarded as the same bytes. A server behind may decode them, fold them, resolve dots and cut
//! parameters off; a path with anything that could come out differently is refused.

use percent_encoding::percent_decode_str;

/// The longest path, in bytes. The identity names it.
const MAX_LENGTH: usize = 1_024;

/// Characters that some servers turn into dots and slashes.
const FOLDED: &str = "\u{2024}\u{2025}\u{2026}\u{2044}\u{2215}\u{2216}\u{29f8}\u{29f9}\u{fe52}\u{fe68}\u{ff0e}\u{ff0f}\u{ff3c}\u{ff61}";

/// Why a path is not plain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PathFault {
    /// A character that stands in no plain path.
    #[error("has a character that must be left out or written otherwise")]
    Character,
    /// `.` or `..`, or a segment that ends with a dot or a space, which some servers cut off.
    #[error("has a segment that is or ends with a dot")]
    Dot,
    /// Two slashes in a row, or one at the end.
    #[error("has an empty segment")]
    Empty,
    /// An encoding that is none, or of what must not or need not be encoded.
    #[error(
        "has a percent-encoding that is malformed or of a character that is not encoded in a path"
    )]
    Encoding,
    /// Too long.
    #[error("is longer than 1,024 bytes")]
    Length,
}

/// Checks a whole path; answers it without a final slash, which is refused unless it `may_end_with_slash`.
pub fn plain(path: &str, may_end_with_slash: bool) -> Result<&str, PathFault> {
    if path.len() > MAX_LENGTH {
        return Err(PathFault::Length);
    }
    let judged = path.strip_suffix('/').filter(|_| may_end_with_slash).unwrap_or(path);
    let segments = judged.strip_prefix('/').ok_or(PathFault::Empty)?;
    segments.split('/').try_for_each(segment)?;
    Ok(judged)
}

/// Checks one segment.
fn segment(text: &str) -> Result<(), PathFault> {
    if text.is_empty() {
        return Err(PathFault::Empty);
    }
    // RFC 3986 pchar without `;`, which begins a parameter that some servers cut off.
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@%".contains(&b);
    if !text.bytes().all(is_plain) {
        return Err(PathFault::Character);
    }
    for after in text.split('%').skip(1) {
        let code = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let signed = after.starts_with('+');
        let encoded = code.filter(|_| !signed).ok_or(PathFault::Encoding)?;
        let needless = encoded.is_ascii_alphanumeric() || b"-._~".contains(&encoded);
        if needless || encoded.is_ascii_control() || b"/\\%;?#".contains(&encoded) {
            return Err(PathFault::Encoding);
        }
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| PathFault::Encoding)?;
    if decoded.chars().any(|c| c.is_control() || FOLDED.contains(c)) {
        return Err(PathFault::Character);
    }
    if decoded.ends_with(['.', ' ']) { Err(PathFault::Dot) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_paths() {
        for path in [
            "/v1/orders",
            "/v1/orders/018f.2b~x_A-1",
            "/v1/orders/.well-known",
            "/v1/orders/a@b,c:d!$&'()*+=e",
            "/v1/orders/caf%C3%A9%20noir",
            "/v1/orders/%e2%82%ac",
            "/v1/orders/%22%3C%3E%7C",
        ] {
            assert_eq!(plain(path, false), Ok(path), "{path}");
            assert_eq!(plain(&format!("{path}/"), true), Ok(path), "{path}/");
            assert_eq!(plain(&format!("{path}/"), false), Err(PathFault::Empty), "{path}/");
        }
    }

    #[test]
    fn attacks() {
        use PathFault::{Character, Dot, Empty, Encoding, Length};
        for (path, fault) in [
            ("", Empty),
            ("orders", Empty),
            ("//orders", Empty),
            ("/v1//orders", Empty),
            ("/v1/orders//", Empty),
            ("/v1/.", Dot),
            ("/v1/..", Dot),
            ("/v1/../admin", Dot),
            ("/v1/orders/./1", Dot),
            ("/v1/orders...", Dot),
            ("/v1/orders.", Dot),
            ("/v1/orders%20", Dot),
            ("/v1/%2e%2e/admin", Encoding),
            ("/v1/%2E./admin", Encoding),
            ("/v1/.%2e/admin", Encoding),
            ("/v1%2forders", Encoding),
            ("/v1%2Forders", Encoding),
            ("/v1/%5c..", Encoding),
            ("/v1/%255c", Encoding),
            ("/v1/%252e%252e/admin", Encoding),
            ("/v1/%25%32%65", Encoding),
            ("/v1/%00", Encoding),
            ("/v1/a%0d%0aX: y", Character),
            ("/v1/a%0d%0aX", Encoding),
            ("/v1/a%7f", Encoding),
            ("/v1/%6frders", Encoding),
            ("/v1/a%3bjsessionid", Encoding),
            ("/v1/a%3Fb", Encoding),
            ("/v1/a%23b", Encoding),
            ("/v1/%c0%ae%c0%ae/admin", Encoding),
            ("/v1/%c0%af", Encoding),
            ("/v1/%ff", Encoding),
            ("/v1/%", Encoding),
            ("/v1/%2", Encoding),
            ("/v1/%zz", Encoding),
            ("/v1/%+1", Encoding),
            ("/v1/%u002e", Encoding),
            ("/v1/%C2%85", Character),
            ("/v1/%EF%BC%8F..", Character),
            ("/v1/%EF%BC%8E%EF%BC%8E", Character),
            ("/v1/orders;a=b", Character),
            ("/v1/..;/admin", Character),
            ("/v1\\orders", Character),
            ("/v1/a b", Character),
            ("/v1/a\tb", Character),
            ("/v1/a\0", Character),
            ("/v1/a|b", Character),
            ("/v1/a\"b", Character),
            ("/v1/[::1]", Character),
            ("/v1/a?b", Character),
            ("/v1/a#b", Character),
            ("/v1/\u{e9}", Character),
        ] {
            for may_end_with_slash in [false, true] {
                assert_eq!(plain(path, may_end_with_slash), Err(fault), "{path}");
            }
        }
        assert_eq!(plain(&format!("/{}", "a".repeat(MAX_LENGTH)), false), Err(Length));
        assert_eq!(plain("/", true), Err(Empty));
    }
}
