//! Webhook signatures: `t=<unix time>,v1=<hex HMAC-SHA256(secret, t "." body)>`.

use aws_lc_rs::hmac;

use crate::{
    UnixTime,
    encoding::{equal_in_constant_time, hex},
    secret::Secret,
};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-makepay-signature";

/// How old or how far ahead a delivery's timestamp may be, in seconds, unless the receiver says otherwise.
pub const DEFAULT_TOLERANCE: i64 = 300;

/// Why a delivery was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WebhookRefusal {
    /// The header is not `t=` and at least one `v1=`.
    #[error("the signature header is malformed")]
    Malformed,
    /// No signature in the header is ours.
    #[error("the signature does not match the body")]
    Mismatch,
    /// The timestamp is outside the tolerance.
    #[error("the delivery's timestamp is too far from now")]
    Stale,
}

/// Signs a delivery: the value of [`SIGNATURE_HEADER`].
#[must_use]
pub fn sign(secret: &Secret, at: UnixTime, body: &[u8]) -> String {
    format!("t={},v1={}", at.0, hex(mac(secret, &at.0.to_string(), body).as_ref()))
}

/// Checks a delivery's signature and freshness. Several `v1` may be present, as while a secret is being changed.
pub fn verify(
    header: &str,
    secret: &Secret,
    body: &[u8],
    now: UnixTime,
    tolerance: i64,
) -> Result<(), WebhookRefusal> {
    let mut time = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) if time.is_none() => time = Some(value),
            Some(("v1", value)) if signatures.len() < 8 => signatures.push(value),
            Some(("t" | "v1", _)) | None => return Err(WebhookRefusal::Malformed),
            Some(_) => {}
        }
    }
    let time = time.ok_or(WebhookRefusal::Malformed)?;
    let at = time.parse().map(UnixTime).map_err(|_| WebhookRefusal::Malformed)?;
    if signatures.is_empty() {
        return Err(WebhookRefusal::Malformed);
    }
    let expected = hex(mac(secret, time, body).as_ref());
    if !signatures.iter().any(|one| equal_in_constant_time(one.as_bytes(), expected.as_bytes())) {
        return Err(WebhookRefusal::Mismatch);
    }
    if now.since(at).unsigned_abs() > tolerance.unsigned_abs() {
        return Err(WebhookRefusal::Stale);
    }
    Ok(())
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
    fn malformed_headers() {
        for header in ["", "t=1", "v1=00", "t=x,v1=00", "t=1,t=2,v1=00", "t", "t=1,v1"] {
            assert_eq!(check(header, b"", NOW), Err(WebhookRefusal::Malformed), "{header}");
        }
        let many = format!("t=1{}", ",v1=00".repeat(9));
        assert_eq!(check(&many, b"", NOW), Err(WebhookRefusal::Malformed));
    }
}
