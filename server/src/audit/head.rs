//! The head of the trail: its last record, written down outside the database and marked with the server's own key.

use aws_lc_rs::hmac;
use counterfoil_protocol::{
    UnixTime,
    encoding::{base64url, from_base64url_exact, hex},
};
use serde::{Deserialize, Serialize};

use crate::vault::{mac, mac_matches};

/// Which record was the last.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Head {
    /// Its id.
    pub id: i64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
    /// When this was written down.
    pub at: UnixTime,
}

#[derive(Deserialize, Serialize)]
struct Marked {
    #[serde(flatten)]
    head: Head,
    mac: String,
}

impl Head {
    /// The head of a trail whose last record has that id and hash.
    #[must_use]
    pub fn of(id: i64, hash: &[u8; 32], at: UnixTime) -> Self {
        Self { id, hash: hex(hash), at }
    }

    /// Its text, with the mark.
    #[must_use]
    pub fn marked(&self, key: &hmac::Key) -> String {
        let mac = base64url(&mac(key, self.message().as_bytes()));
        let marked = Marked { head: self.clone(), mac };
        serde_json::to_string(&marked).expect("numbers and texts are JSON")
    }

    /// Reads a text; nothing when this key did not mark it.
    #[must_use]
    pub fn read(text: &str, key: &hmac::Key) -> Option<Self> {
        let Marked { head, mac } = serde_json::from_str(text).ok()?;
        let mac = from_base64url_exact::<32>(&mac)?;
        mac_matches(key, head.message().as_bytes(), &mac).then_some(head)
    }

    fn message(&self) -> String {
        format!("audit head\n{}\n{}\n{}", self.id, self.hash, self.at.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_marked_is_read() {
        let key = |byte| hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]);
        let head = Head::of(7, &[1; 32], UnixTime(1_800_000_000));
        let text = head.marked(&key(1));
        assert_eq!(Head::read(&text, &key(1)), Some(head));
        assert_eq!(Head::read(&text, &key(2)), None);
        for (from, to) in [("\"id\":7", "\"id\":6"), ("0101", "0201"), ("1800000000", "1800000001")]
        {
            assert!(text.contains(from), "{text}");
            assert_eq!(Head::read(&text.replacen(from, to, 1), &key(1)), None, "{from}");
        }
        for text in ["", "{}", "null", &text[1..]] {
            assert_eq!(Head::read(text, &key(1)), None);
        }
    }
}
