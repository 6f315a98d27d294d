//! Whose store it is: what an answer from a store's own address is worth, and for how long it counts.

use counterfoil_protocol::{UnixTime, json, jwk::Thumbprint, ownership::Ownership};
use serde::Deserialize;
use serde_json::Value;

/// The most bytes of an answer that are read.
pub const MAX_ANSWER: usize = 8 * 1_024;

/// Seconds for which an address counts as verified: 30 days.
const VERIFIED_LIFETIME: i64 = 30 * 24 * 3_600;

/// Seconds for which any other verdict counts, so that a page that is loaded again asks nobody.
const OTHER_LIFETIME: i64 = 20;

/// Whether a platform's stores are asked.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Not at all.
    #[default]
    Off,
    /// Asked, and the merchant is told what came of it.
    Optional,
    /// Nobody can approve a store whose address is not verified.
    Required,
}

/// What came of asking a store's own address who it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The key that asks to be connected answered there.
    Verified,
    /// Something answered that was signed for another store, by another key, for another question, or not at all.
    Foreign,
    /// Nothing at that address knows the challenge.
    NoAnswer,
    /// The address leads elsewhere.
    Redirected,
    /// The address is of a private network, or not one that is called.
    Private,
    /// The answer did not come in time.
    Slow,
    /// The answer is too long.
    TooLong,
    /// There is no connection to the address.
    Unreachable,
    /// It was asked too often.
    Limited,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Verified,
        Self::Foreign,
        Self::NoAnswer,
        Self::Redirected,
        Self::Private,
        Self::Slow,
        Self::TooLong,
        Self::Unreachable,
        Self::Limited,
    ];

    /// The word in the database and for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Foreign => "foreign_answer",
            Self::NoAnswer => "no_answer",
            Self::Redirected => "redirected",
            Self::Private => "not_public",
            Self::Slow => "too_slow",
            Self::TooLong => "too_long",
            Self::Unreachable => "unreachable",
            Self::Limited => "asked_too_often",
        }
    }

    /// The verdict that a word stands for.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.word() == word)
    }

    /// What a merchant reads of it.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Verified => {
                "We asked at this address, and the store that asks to be connected answered there."
            }
            Self::Foreign => {
                "We asked at this address, and what answered there is not the store that asks to be connected."
            }
            Self::NoAnswer => {
                "We asked at this address, and nothing there knew the question. The plugin may be out of date, or something in front of the shop keeps us out."
            }
            Self::Redirected => {
                "We asked at this address, and it sent us on to another one. The store may have another address than it says."
            }
            Self::Private => {
                "This address is not on the public Internet, so we could not ask there. That is usual for a shop behind a firewall."
            }
            Self::Slow => "We asked at this address, and no answer came in time.",
            Self::TooLong => "We asked at this address, and what came back was not an answer.",
            Self::Unreachable => {
                "We could not reach this address. That is usual for a shop behind a firewall, or one that is not online yet."
            }
            Self::Limited => {
                "We asked at this address too often of late. Wait a minute and load this page again."
            }
        }
    }

    /// Whether the next address of the profile is worth a try.
    #[must_use]
    pub fn is_about_the_path(self) -> bool {
        matches!(self, Self::NoAnswer | Self::Redirected)
    }
}

/// A verdict, and what it is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checked {
    /// The installation.
    pub client_id: String,
    /// The address that was asked.
    pub site_url: String,
    /// The key that had to answer.
    pub key: Thumbprint,
    /// What came of it.
    pub verdict: Verdict,
    /// When.
    pub at: UnixTime,
}

impl Checked {
    /// Whether this is about that address and key.
    #[must_use]
    pub fn is_of(&self, site_url: &str, key: &Thumbprint) -> bool {
        self.site_url == site_url && self.key.matches(key)
    }

    /// Whether this still counts at `now`.
    #[must_use]
    pub fn counts(&self, now: UnixTime) -> bool {
        let lifetime =
            if self.verdict == Verdict::Verified { VERIFIED_LIFETIME } else { OTHER_LIFETIME };
        now.since(self.at) < lifetime
    }
}

/// Judges an answer: its status and body, against what had to be signed by `key`.
#[must_use]
pub fn judge(
    (status, body, truncated): (u16, &[u8], bool),
    expected: &Ownership<'_>,
    key: &Thumbprint,
    now: UnixTime,
) -> Verdict {
    match status {
        200 if truncated => Verdict::TooLong,
        200 => {
            let Ok(object) = json::parse_object(body) else { return Verdict::NoAnswer };
            let Some(proof) = object.get("proof").and_then(Value::as_str) else {
                return Verdict::NoAnswer;
            };
            match expected.judge(proof, key, now) {
                Ok(()) => Verdict::Verified,
                Err(_) => Verdict::Foreign,
            }
        }
        300..400 => Verdict::Redirected,
        _ => Verdict::NoAnswer,
    }
}

/// The URL to ask at: a path below a store's address, with the question in its query.
#[must_use]
pub fn question(path: &str, expected: &Ownership<'_>) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    let Ownership { site_url, nonce, client_id, .. } = expected;
    format!("{site_url}{path}{joint}nonce={nonce}&client_id={client_id}")
}

/// Whether a path may be asked below a store's address.
#[must_use]
pub fn is_challenge_path(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~?=&".contains(&b);
    path.starts_with('/') && path.len() <= 200 && path.bytes().all(plain) && !path.contains("..")
}

#[cfg(test)]
mod tests;
