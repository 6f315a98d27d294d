//! JWS compact serialization (RFC 7515 §7.1), taken apart but not believed.

use std::fmt;

use serde_json::{Map, Value};

use crate::{UnixTime, encoding::from_base64url, json};

/// Why a text is no compact JWS we look at any further.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JwsRefusal {
    /// `crit` is present; we understand no extension, so none may be critical (RFC 7515 §4.1.11).
    #[error("the token names critical extensions")]
    Critical,
    /// The header is not a JSON object with unique member names.
    #[error("the header is not a JSON object with unique members")]
    MalformedHeader,
    /// The payload is not a JSON object with unique member names.
    #[error("the payload is not a JSON object with unique members")]
    MalformedPayload,
    /// Not three parts of strict base64url.
    #[error("the token is not three parts of base64url")]
    NotCompact,
    /// Longer than the caller allows.
    #[error("the token is too long")]
    TooLong,
}

/// The parts of a compact JWS. Nothing in it may be believed before the signature was verified.
///
/// Its `Debug` shows the header alone: the whole may be a bearer token.
pub struct Unverified<'a> {
    /// The protected header.
    pub header: Map<String, Value>,
    /// The payload, a JSON object.
    pub payload: Map<String, Value>,
    /// What the signature covers: the first two parts and the dot between them.
    pub signing_input: &'a str,
    /// The signature, decoded.
    pub signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Splits `text`, at most `max_length` bytes of it, and reads header and payload strictly.
    pub fn parse(text: &'a str, max_length: usize) -> Result<Self, JwsRefusal> {
        if text.len() > max_length {
            return Err(JwsRefusal::TooLong);
        }
        let (signing_input, signature) = text.rsplit_once('.').ok_or(JwsRefusal::NotCompact)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsRefusal::NotCompact)?;
        let decode = |part| from_base64url(part).ok_or(JwsRefusal::NotCompact);
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        let header = json::parse_object(&header).map_err(|_| JwsRefusal::MalformedHeader)?;
        if header.contains_key("crit") {
            return Err(JwsRefusal::Critical);
        }
        let payload = json::parse_object(&payload).map_err(|_| JwsRefusal::MalformedPayload)?;
        Ok(Self { header, payload, signing_input, signature })
    }

    /// A member of the header, when it is a string.
    #[must_use]
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }

    /// A claim, when it is a string.
    #[must_use]
    pub fn claim_text(&self, name: &str) -> Option<&str> {
        self.payload.get(name).and_then(Value::as_str)
    }

    /// A claim that is a `NumericDate` (RFC 7519 §2), whole seconds, fractions cut off.
    ///
    /// `None` when it is absent or anything but a number that fits.
    #[must_use]
    pub fn claim_time(&self, name: &str) -> Option<UnixTime> {
        UnixTime::from_number(self.payload.get(name)?.as_number()?)
    }
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").field("header", &self.header).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_no_token() {
        let token = "eyJhbGciOiJub25lIn0.eyJqdGkiOiJjYW5hcnkifQ.Y2FuYXJ5";
        let shown = format!("{:?}", Unverified::parse(token, 100).expect("three parts"));
        assert!(shown.contains("none"), "{shown}");
        assert!(!shown.contains("canary") && !shown.contains("Y2FuYXJ5"), "{shown}");
    }
}
