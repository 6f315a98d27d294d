//! The list of what a backup is, marked with a key that only the at-rest key gives.

use aws_lc_rs::hmac;
use counterfoil_protocol::{
    UnixTime,
    encoding::{base64url, from_base64url_exact},
};
use serde::{Deserialize, Serialize};

use crate::vault::{mac, mac_matches};

/// The format that this program writes and reads.
pub const FORMAT: u32 = 1;

/// What a backup is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Manifest {
    /// The format of this list.
    pub format: u32,
    /// The version of the program that made it.
    pub version: String,
    /// When, in seconds.
    pub created_at: UnixTime,
    /// The schema of the database.
    pub schema: i64,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub database_sha256: String,
    /// Id and hash of its last audit record.
    pub audit_last: Option<(i64, String)>,
    /// Whether the keys are in it.
    pub with_keys: bool,
    /// The mark over all of this.
    pub mac: String,
}

impl Manifest {
    /// Puts the mark on it.
    pub fn mark(&mut self, key: &hmac::Key) {
        self.mac = base64url(&mac(key, self.message().as_bytes()));
    }

    /// Whether that key marked it, and nothing was changed since.
    pub fn is_marked(&self, key: &hmac::Key) -> bool {
        from_base64url_exact::<32>(&self.mac)
            .is_some_and(|tag| mac_matches(key, self.message().as_bytes(), &tag))
    }

    /// As a file.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and texts are JSON")
    }

    fn message(&self) -> String {
        let bare = Self { mac: String::new(), ..self.clone() };
        format!("backup\n{}", serde_json::to_string(&bare).expect("numbers and texts are JSON"))
    }
}
