//! What an e-mail address may be, here: plain ASCII, one `@`, nothing that a header could be made with. Pure.

use lettre::Address;

/// The longest address, in bytes (RFC 5321 §4.5.3.1.3).
pub const MAX_LENGTH: usize = 254;

/// An address in lower case, without the spaces around it. Whether it exists only a letter to it would tell.
///
/// A name outside of ASCII is written in its ASCII form (`xn--…`): what looks like another letter is not taken for it.
#[must_use]
pub fn normal(text: &str) -> Option<String> {
    let email = text.trim().to_ascii_lowercase();
    parse(&email).map(|_| email)
}

/// The address as a letter needs it.
pub(super) fn parse(email: &str) -> Option<Address> {
    let (name, host) = email.split_once('@')?;
    let of_name = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    let of_host = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    let plain = email.len() <= MAX_LENGTH
        && !name.is_empty()
        && name.bytes().all(of_name)
        && !host.is_empty()
        && host.bytes().all(of_host);
    plain.then(|| email.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, email) in [
            ("ana@shop.example", "ana@shop.example"),
            (" Ana@Shop.Example ", "ana@shop.example"),
            ("a@b", "a@b"),
            ("o'neill+till@shop.example", "o'neill+till@shop.example"),
            ("ana@xn--bcher-kva.example", "ana@xn--bcher-kva.example"),
        ] {
            assert_eq!(normal(text).as_deref(), Some(email));
        }
        for text in [
            "",
            "ana",
            "@shop",
            "ana@",
            "a@b@c",
            "a b@c",
            "a@b\u{7}",
            "a@b\r\nBcc: eve@evil.example",
            "a@b\nBcc:eve",
            "a,eve@evil.example",
            "<a@b>",
            "\"a b\"@c",
            "a@b>,<eve@evil.example",
            "a;b@c",
            "a(comment)@b",
            "ána@shop.example",
            "ana@shöp.example",
            "ana@shop..example",
            "ana@-shop.example",
            ".ana@shop.example",
        ] {
            assert_eq!(normal(text), None, "{text:?}");
        }
        assert_eq!(normal(&format!("{}@b.example", "a".repeat(300))), None);
    }
}
