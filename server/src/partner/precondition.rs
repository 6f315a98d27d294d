//! Conditional requests (RFC 9110 §13): a change that is made only of what its sender saw, and an answer that is spared
//! when he has it.

use counterfoil_protocol::encoding::{base64url, sha256};

/// A header that is no list of entity tags.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

/// The entity tag of a representation, quotes and all: other bytes have another.
#[must_use]
pub fn etag(representation: &[u8]) -> String {
    format!("\"{}\"", base64url(&sha256(representation)[..16]))
}

/// Whether `If-Match` allows a change of what has this tag: strong comparison, so a weak tag never does.
pub fn if_match(header: &str, etag: &str) -> Result<bool, Malformed> {
    let tags = tags(header)?;
    Ok(tags.is_none_or(|tags| tags.iter().any(|(weak, tag)| !weak && *tag == etag)))
}

/// Whether `If-None-Match` names this tag: weak comparison, so a proxy that weakened it does no harm.
pub fn if_none_match(header: &str, etag: &str) -> Result<bool, Malformed> {
    let tags = tags(header)?;
    Ok(tags.is_none_or(|tags| tags.iter().any(|(_, tag)| *tag == etag)))
}

/// The tags of a list, each with whether it is weak; nothing for `*`, which stands for any.
fn tags(header: &str) -> Result<Option<Vec<(bool, &str)>>, Malformed> {
    let mut rest = header.trim();
    if rest == "*" {
        return Ok(None);
    }
    let mut tags = Vec::new();
    loop {
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let inside = quoted.strip_prefix('"').ok_or(Malformed)?;
        let end = inside.find('"').ok_or(Malformed)? + 2;
        tags.push((weak, &quoted[..end]));
        rest = quoted[end..].trim_start();
        if rest.is_empty() {
            return Ok(Some(tags));
        }
        rest = rest.strip_prefix(',').ok_or(Malformed)?.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons() {
        for (header, strong, weak) in [
            ("*", Ok(true), Ok(true)),
            ("\"a\"", Ok(true), Ok(true)),
            ("W/\"a\"", Ok(false), Ok(true)),
            ("\"b\"", Ok(false), Ok(false)),
            ("\"b\", \"a\"", Ok(true), Ok(true)),
            ("\"b\",W/\"a\"", Ok(false), Ok(true)),
            ("\"x,y\" , \"a\"", Ok(true), Ok(true)),
            ("\"A\"", Ok(false), Ok(false)),
            ("a", Err(Malformed), Err(Malformed)),
            ("\"a", Err(Malformed), Err(Malformed)),
            ("\"a\",", Err(Malformed), Err(Malformed)),
            ("\"a\" \"b\"", Err(Malformed), Err(Malformed)),
            ("w/\"a\"", Err(Malformed), Err(Malformed)),
            ("", Err(Malformed), Err(Malformed)),
        ] {
            assert_eq!(if_match(header, "\"a\""), strong, "{header}");
            assert_eq!(if_none_match(header, "\"a\""), weak, "{header}");
        }
    }

    #[test]
    fn other_bytes_other_tag() {
        assert_ne!(etag(b"a"), etag(b"b"));
        assert_eq!(etag(b"a").len(), 24);
    }
}
