//! Webhook signatures: `t=<unix time>,v1=<hex HMAC-SHA256(secret, t "." body)>`.

use aws_lc_rs::hmac;

use crate::{
    UnixTime,
    encoding::{equal_in_constant_time, hex},
    secret::Secret,
};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-makepay-signature";

/// The headers that may carry it: that of a store's subscription, and that of a portal application's.
pub const SIGNATURE_HEADERS: [&str; 2] = [SIGNATURE_HEADER, "makecrypto-signature"];

/// How old or how far ahead a delivery's timestamp may be, in seconds, unless the receiver says otherwise.
pub const DEFAULT_TOLERANCE: i64 = 300;

/// The most signatures that a header may have.
const MAX_SIGNATURES: usize = 8;

/// Why a delivery was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WebhookRefusal {
    /// No header carries a signature.
    #[error("there is no signature header")]
    Absent,
    /// The header is there twice, or is not `t=` and at least one `v1=`.
    #[error("the signature header is malformed")]
    Malformed,
    /// No signature in the header is ours.
    #[error("the signature does not match the body")]
    Mismatch,
    /// The timestamp is outside the tolerance.
    #[error("the delivery's timestamp is too far from now")]
    Stale,
}

/// What a signature header says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature<'h> {
    /// `t` as it was written: the signatures are over these characters.
    time: &'h str,
    at: UnixTime,
    values: Vec<&'h str>,
}

impl<'h> Signature<'h> {
    /// Finds the one signature header among a request's headers, whatever the case of its name, and reads it.
    pub fn among(
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Result<Self, WebhookRefusal> {
        let is_one = |name: &str| SIGNATURE_HEADERS.iter().any(|it| it.eq_ignore_ascii_case(name));
        let mut found = headers.into_iter().filter(|(name, _)| is_one(name));
        let (_, value) = found.next().ok_or(WebhookRefusal::Absent)?;
        // Which of two would be believed is a question that must not come up.
        if found.next().is_some() { Err(WebhookRefusal::Malformed) } else { Self::parse(value) }
    }

    /// Reads a header's value. Several `v1` may be present, as while a secret is being changed.
    pub fn parse(header: &'h str) -> Result<Self, WebhookRefusal> {
        let (mut time, mut values) = (None, Vec::new());
        for part in header.split(',') {
            match part.trim().split_once('=') {
                Some(("t", value)) if time.is_none() => time = Some(value),
                Some(("v1", value)) if values.len() < MAX_SIGNATURES => values.push(value),
                Some(("t" | "v1", _)) | None => return Err(WebhookRefusal::Malformed),
                Some(_) => {}
            }
        }
        let digits = |text: &&str| text.bytes().all(|b| b.is_ascii_digit());
        let time = time.filter(digits).ok_or(WebhookRefusal::Malformed)?;
        let at = time.parse().map(UnixTime).map_err(|_| WebhookRefusal::Malformed)?;
        if values.is_empty() {
            return Err(WebhookRefusal::Malformed);
        }
        Ok(Self { time, at, values })
    }

    /// When the delivery was signed, on the sender's clock.
    #[must_use]
    pub fn at(&self) -> UnixTime {
        self.at
    }

    /// Whether one of the signatures is over `body` with `secret`. Takes the same time whichever it is.
    #[must_use]
    pub fn is_by(&self, secret: &Secret, body: &[u8]) -> bool {
        let expected = hex(mac(secret, self.time, body).as_ref());
        let matches = |one: &&str| equal_in_constant_time(one.as_bytes(), expected.as_bytes());
        self.values.iter().filter(|one| matches(one)).count() > 0
    }

    /// Whether the delivery was signed within `tolerance` seconds of `now`, before or after.
    #[must_use]
    pub fn is_fresh(&self, now: UnixTime, tolerance: i64) -> bool {
        now.since(self.at).unsigned_abs() <= tolerance.unsigned_abs()
    }
}

/// Signs a delivery: the value of [`SIGNATURE_HEADER`].
#[must_use]
pub fn sign(secret: &Secret, at: UnixTime, body: &[u8]) -> String {
    format!("t={},v1={}", at.0, hex(mac(secret, &at.0.to_string(), body).as_ref()))
}

/// Signs a delivery with each of several secrets, as while one is being changed: one `t`, and a `v1` for each.
#[must_use]
pub fn sign_with(secrets: &[Secret], at: UnixTime, body: &[u8]) -> String {
    let time = at.0.to_string();
    let values = secrets.iter().map(|it| format!(",v1={}", hex(mac(it, &time, body).as_ref())));
    format!("t={time}{}", values.collect::<String>())
}

/// Checks a delivery's signature and freshness.
pub fn verify(
    header: &str,
    secret: &Secret,
    body: &[u8],
    now: UnixTime,
    tolerance: i64,
) -> Result<(), WebhookRefusal> {
    let signature = Signature::parse(header)?;
    if !signature.is_by(secret, body) {
        return Err(WebhookRefusal::Mismatch);
    }
    if signature.is_fresh(now, tolerance) { Ok(()) } else { Err(WebhookRefusal::Stale) }
}

fn mac(secret: &Secret, time: &str, body: &[u8]) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(time.as_bytes());
    context.update(b".");
    context.update(body);
    context.sign()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_700_000_000);

    fn check(header: &str, body: &[u8], now: UnixTime) -> Result<(), WebhookRefusal> {
        verify(header, &Secret::new("whsec"), body, now, DEFAULT_TOLERANCE)
    }

    #[test]
    fn what_we_sign_verifies_until_it_is_old() {
        let header = sign(&Secret::new("whsec"), NOW, b"{}");
        assert_eq!(check(&header, b"{}", NOW + 300), Ok(()));
        assert_eq!(check(&header, b"{}", NOW + 301), Err(WebhookRefusal::Stale));
        assert_eq!(check(&header, b"{}", NOW - 301), Err(WebhookRefusal::Stale));
        assert_eq!(check(&header, b"{ }", NOW), Err(WebhookRefusal::Mismatch));
        assert_eq!(check(&format!("v1=00,{header}"), b"{}", NOW), Ok(()));
    }

    #[test]
    fn several_secrets() {
        let secrets = [Secret::new("other"), Secret::new("whsec")];
        let header = sign_with(&secrets, NOW, b"{}");
        assert_eq!(check(&header, b"{}", NOW), Ok(()));
        assert_eq!(
            check(&sign_with(&secrets[..1], NOW, b"{}"), b"{}", NOW),
            Err(WebhookRefusal::Mismatch)
        );
        assert_eq!(sign_with(&secrets[1..], NOW, b"{}"), sign(&secrets[1], NOW, b"{}"));
    }

    #[test]
    fn malformed_headers() {
        for header in
            ["", "t=1", "v1=00", "t=x,v1=00", "t=,v1=00", "t=+1,v1=00", "t=1,t=2,v1=00", "t=1,v1"]
        {
            assert_eq!(check(header, b"", NOW), Err(WebhookRefusal::Malformed), "{header}");
        }
        let many = format!("t=1{}", ",v1=00".repeat(9));
        assert_eq!(check(&many, b"", NOW), Err(WebhookRefusal::Malformed));
    }
}
