//! The recovery grant: a new token family for a proof of the registered key, where the server offers that.

use counterfoil_protocol::token::INSTALLATION_KEY;
use hyper::StatusCode;

use super::{Conversation, refused, token::Asked, unanswered};
use crate::{
    session::{Failure, Grant, RecoverOrder, Unrecovered},
    trouble::{Code, Trouble},
    upstream::Answer,
};

/// From this `Retry-After` on, in seconds, a refusal is not the crowd of a moment but a limit that was reached.
const LIMITED: i64 = 900;

impl Conversation {
    /// Asks for a new token family by the key.
    pub(crate) async fn recover(&self, order: &RecoverOrder) -> Result<Grant, Unrecovered> {
        // What the server offered when the family was alive may be long ago.
        let endpoints = self.discover().await.map_err(Unrecovered::Passing)?;
        if !endpoints.recovery {
            return Err(Unrecovered::NotOffered);
        }
        let form = [
            ("grant_type", INSTALLATION_KEY),
            ("client_id", &order.approved.client_id),
            ("resource", &order.approved.audience),
        ];
        let asked = Asked::again(&order.approved, &order.key, order.since, Code::RecoveryRefused);
        let sent_at = self.upstream.now();
        let answer =
            self.send_form(&endpoints.token, &form, asked.key, Some(&order.idempotency_key)).await;
        let answer = answer.map_err(|reason| Unrecovered::Passing(unanswered(&reason)))?;
        if let Some(refusal) = judge(&answer) {
            return Err(refusal);
        }
        self.take(&answer, &endpoints, &asked, sent_at).await.map_err(|failure| match failure {
            Failure::Passing(trouble) => Unrecovered::Passing(trouble),
            Failure::Final(trouble) if trouble.code == Code::TokenUnacceptable => {
                Unrecovered::Final(Trouble::new(Code::RecoveryRefused, trouble.message))
            }
            Failure::Final(trouble) => Unrecovered::Final(trouble),
        })
    }
}

/// A refusal that only a recovery can get; `None` when the answer is to be read like any other of the endpoint.
fn judge(answer: &Answer) -> Option<Unrecovered> {
    let limited = answer.retry_after().filter(|seconds| *seconds > LIMITED);
    if let Some(seconds) = limited.filter(|_| answer.status == StatusCode::TOO_MANY_REQUESTS) {
        let trouble = Trouble::of(Code::RecoveryCapped).retry_after(seconds);
        return Some(Unrecovered::Capped(trouble));
    }
    if answer.may_pass() {
        return None;
    }
    let code = match answer.error().as_deref()? {
        "invalid_grant" => Code::ApprovalWithdrawn,
        "key_in_two_places" => Code::KeyInTwoPlaces,
        "unsupported_grant_type" => return Some(Unrecovered::NotOffered),
        _ => return None,
    };
    // Said once in the log, with the server's own code.
    drop(refused(answer, code));
    Some(Unrecovered::Final(Trouble::of(code)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::{HeaderMap, header::RETRY_AFTER};

    use super::*;

    #[test]
    fn what_refusals_of_a_recovery_mean() {
        let judged = |status: u16, error: &str, retry_after: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = retry_after {
                headers.insert(RETRY_AFTER, value.parse().expect("a value"));
            }
            let body = Bytes::from(serde_json::json!({ "error": error }).to_string());
            let status = StatusCode::from_u16(status).expect("a status");
            judge(&Answer { status, headers, body })
        };
        let said = |code| Some(Unrecovered::Final(Trouble::of(code)));
        assert_eq!(judged(400, "invalid_grant", None), said(Code::ApprovalWithdrawn));
        assert_eq!(judged(400, "key_in_two_places", None), said(Code::KeyInTwoPlaces));
        assert_eq!(judged(400, "unsupported_grant_type", None), Some(Unrecovered::NotOffered));
        let capped = Trouble::of(Code::RecoveryCapped).retry_after(40_000);
        let limit = judged(429, "too_many_requests", Some("40000"));
        assert_eq!(limit, Some(Unrecovered::Capped(capped)));
        for (status, error, retry_after) in [
            (429, "too_many_requests", Some("2")),
            (429, "too_many_requests", None),
            (503, "invalid_grant", None),
            (400, "invalid_dpop_proof", None),
            (400, "use_dpop_nonce", None),
            (401, "invalid_client", None),
        ] {
            assert_eq!(judged(status, error, retry_after), None, "{status} {error}");
        }
    }
}
