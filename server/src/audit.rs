//! The audit trail: who did what, when, and the chain of hashes that shows whether the trail was changed. Pure.
//!
//! The hash of a record is SHA-256 of its canonical form, a JSON array (RFC 8785: as `JSON.stringify` and Python's
//! `json.dumps(…, ensure_ascii=False, separators=(",", ":"))` write it), in which the hash of the record before stands
//! second:
//!
//! ```json
//! ["counterfoil audit v1","<previous, hex>",<id>,<at>,"<event>","<actor>","<client_id>" or null,"<company_id>" or null,"<subject>" or null,"<detail>"]
//! ```

mod chain;
mod head;

use std::fmt;

use counterfoil_protocol::{
    UnixTime,
    encoding::{hex, sha256},
};
use serde_json::json;

pub use self::{
    chain::{Broken, Chain},
    head::Head,
};

/// The event by which the beginning of the trail was cut off. Its `subject` is the last id that was cut, its `detail`
/// that record's hash, in hexadecimal digits.
pub const CUT: &str = "audit_cut";

/// The last words of events that ended something: what a restored backup brings back to life.
const ENDINGS: [&str; 10] = [
    "changed", "closed", "deleted", "disabled", "ended", "released", "removed", "reset", "revoked",
    "rotated",
];

/// Whoever did something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Actor {
    /// A person at the pages, by id.
    User(String),
    /// A client with its credentials.
    Client(String),
    /// An operator at the command line, by the name the system gives. Whoever can run commands can give another name.
    Operator(String),
    /// The server, by itself.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Client(id) => write!(f, "client:{id}"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::System => f.write_str("system"),
        }
    }
}

/// Something that happened, to be noted. No secret is in any of it.
#[derive(Clone, Debug)]
pub struct AuditEvent<'a> {
    /// When.
    pub at: UnixTime,
    /// What, in one word: `grant_ended`.
    pub event: &'a str,
    /// Who did it.
    pub actor: &'a Actor,
    /// The client it was about.
    pub client_id: Option<&'a str>,
    /// The company it was about.
    pub company_id: Option<&'a str>,
    /// What else it was done to: a person, a key, an endpoint.
    pub subject: Option<&'a str>,
    /// What else is to say: why, from what to what.
    pub detail: &'a str,
}

impl<'a> AuditEvent<'a> {
    /// An event about nothing in particular; what it was about is added by the functions below.
    #[must_use]
    pub fn new(at: UnixTime, event: &'a str, actor: &'a Actor) -> Self {
        Self { at, event, actor, client_id: None, company_id: None, subject: None, detail: "" }
    }

    /// It was about this client.
    #[must_use]
    pub fn client(self, id: &'a str) -> Self {
        Self { client_id: Some(id), ..self }
    }

    /// It was about this company.
    #[must_use]
    pub fn company(self, id: &'a str) -> Self {
        Self { company_id: Some(id), ..self }
    }

    /// It was done to this.
    #[must_use]
    pub fn subject(self, subject: &'a str) -> Self {
        Self { subject: Some(subject), ..self }
    }

    /// And this is to say.
    #[must_use]
    pub fn detail(self, detail: &'a str) -> Self {
        Self { detail, ..self }
    }
}

/// A record of the trail, as it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditRecord {
    /// Its place in the trail; there are no gaps.
    pub id: i64,
    /// When.
    pub at: UnixTime,
    /// What, in one word.
    pub event: String,
    /// Who, as [`Actor`] writes it.
    pub actor: String,
    /// The client, when it was about one.
    pub client_id: Option<String>,
    /// The company, when it was about one.
    pub company_id: Option<String>,
    /// What else it was done to.
    pub subject: Option<String>,
    /// What else is to say.
    pub detail: String,
    /// The hash of the record before; zeros before the first.
    pub previous: [u8; 32],
    /// The hash of this one.
    pub hash: [u8; 32],
}

impl AuditRecord {
    /// The record that follows the one with the hash `previous`.
    #[must_use]
    pub fn of(event: &AuditEvent<'_>, id: i64, previous: [u8; 32]) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let mut record = Self {
            id,
            at: event.at,
            event: event.event.to_owned(),
            actor: event.actor.to_string(),
            client_id: owned(event.client_id),
            company_id: owned(event.company_id),
            subject: owned(event.subject),
            detail: event.detail.to_owned(),
            previous,
            hash: [0; 32],
        };
        record.hash = record.true_hash();
        record
    }

    /// Whether it ended something: access, a key, a secret, a place in a company.
    #[must_use]
    pub fn is_an_end(&self) -> bool {
        self.event.rsplit('_').next().is_some_and(|word| ENDINGS.contains(&word))
    }

    /// What its hash must be, for what it says.
    #[must_use]
    pub fn true_hash(&self) -> [u8; 32] {
        sha256(self.canonical().as_bytes())
    }

    fn canonical(&self) -> String {
        json!([
            "counterfoil audit v1",
            hex(&self.previous),
            self.id,
            self.at.0,
            self.event,
            self.actor,
            self.client_id,
            self.company_id,
            self.subject,
            self.detail,
        ])
        .to_string()
    }
}

#[cfg(test)]
mod tests;
