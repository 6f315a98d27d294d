//! A change of the key without the merchant, where the server offers that: the new key signs, the old one vouches.

use bytes::Bytes;
use counterfoil_protocol::{secret::Secret, token::RECOVERY_HEADER};
use hyper::{
    Method,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Conversation, IDEMPOTENCY_KEY, JSON, accept_json, refused, token::Asked, unanswered};
use crate::{
    session::{Failure, Grant, RotateOrder, Unrotated},
    trouble::{Code, Trouble},
    upstream::{Answer, Previous, Signed, again::is_about_the_proof},
};

impl Conversation {
    /// Has the server put the next key in the place of the one in force.
    pub(crate) async fn rotate(&self, order: &RotateOrder) -> Result<Grant, Unrotated> {
        // What the server offers may have changed with it.
        let endpoints = self.discover().await.map_err(Unrotated::Passing)?;
        let Some(url) = &endpoints.key else { return Err(Unrotated::NotOffered) };
        let asked =
            Asked::again(&order.approved, &order.next, order.since, Code::KeyRotationRefused);
        let sent_at = self.upstream.now();
        let answer = self.send_rotation(url, order).await?;
        if let Some(refusal) = judge(&answer) {
            return Err(refusal);
        }
        self.take(&answer, &endpoints, &asked, sent_at).await.map_err(|failure| match failure {
            Failure::Passing(trouble) => Unrotated::Passing(trouble),
            // It answered tokens, so it has the new key; only they are not to be believed.
            Failure::Final(trouble) if trouble.code == Code::TokenUnacceptable => {
                Unrotated::Ended { trouble, accepted: true }
            }
            Failure::Final(trouble) => Unrotated::Refused(trouble),
        })
    }

    async fn send_rotation(&self, url: &str, order: &RotateOrder) -> Result<Answer, Unrotated> {
        let internal = || Unrotated::Refused(Trouble::of(Code::Internal));
        let mut headers = accept_json();
        headers.insert(CONTENT_TYPE, JSON);
        let key = HeaderValue::from_str(&order.idempotency_key).map_err(|_| internal())?;
        headers.insert(IDEMPOTENCY_KEY, key);
        let request = Signed {
            method: Method::POST,
            url,
            headers,
            body: body(&order.approved.client_id, &order.approved.refresh),
            token: None,
            key: &order.next,
            previous: Some(Previous { key: &order.current, names_successor: true }),
        };
        let answer = self.upstream.send_signed(&request).await;
        answer.map_err(|reason| Unrotated::Passing(unanswered(&reason)))
    }
}

fn body(client_id: &str, refresh: &Secret) -> Bytes {
    let body = json!({ "client_id": client_id, "refresh_token": refresh.expose() });
    Bytes::from_owner(Zeroizing::new(body.to_string().into_bytes()))
}

/// A refusal that only a rotation can get; `None` when the answer is to be read like one of the token endpoint.
fn judge(answer: &Answer) -> Option<Unrotated> {
    if answer.may_pass() {
        return None;
    }
    let Some(error) = answer.error() else {
        let gone = matches!(answer.status.as_u16(), 404 | 405 | 501);
        return gone.then_some(Unrotated::NotOffered);
    };
    if is_about_the_proof(&error) || error == "use_dpop_nonce" {
        return None;
    }
    let code = match &*error {
        // Ended, used before, overtaken, or answered once and past keeping: this family renews nothing any more.
        "invalid_grant" => Code::ReconnectRequired,
        "key_in_two_places" => Code::KeyInTwoPlaces,
        _ => Code::KeyRotationRefused,
    };
    let trouble = refused(answer, code);
    Some(match code {
        Code::ReconnectRequired => {
            let gone = answer.headers.get(RECOVERY_HEADER).is_some_and(|it| it == "expired");
            tracing::warn!(gone, "the refresh token earns no other key");
            Unrotated::Ended { trouble, accepted: false }
        }
        _ => Unrotated::Refused(trouble),
    })
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, StatusCode};

    use super::*;

    #[test]
    fn what_refusals_of_a_rotation_mean() {
        let judged = |status: u16, error: &str| {
            let body = Bytes::from(json!({ "error": error }).to_string());
            let status = StatusCode::from_u16(status).expect("a status");
            judge(&Answer { status, headers: HeaderMap::new(), body })
        };
        let ended = judged(400, "invalid_grant");
        assert!(matches!(ended, Some(Unrotated::Ended { accepted: false, .. })), "{ended:?}");
        for (status, error, code) in [
            (400, "key_in_two_places", Code::KeyInTwoPlaces),
            (401, "previous_dpop_required", Code::KeyRotationRefused),
            (401, "invalid_previous_dpop_key", Code::KeyRotationRefused),
            (401, "invalid_client", Code::KeyRotationRefused),
            (400, "unauthorized_client", Code::KeyRotationRefused),
            (400, "invalid_idempotency_key", Code::KeyRotationRefused),
        ] {
            let refusal = judged(status, error);
            let Some(Unrotated::Refused(trouble)) = refusal else { panic!("{error}: {refusal:?}") };
            assert_eq!(trouble.code, code, "{error}");
        }
        assert_eq!(judged(404, ""), Some(Unrotated::NotOffered));
        assert_eq!(judged(405, ""), Some(Unrotated::NotOffered));
        for (status, error) in [
            (500, "invalid_grant"),
            (503, ""),
            (429, "too_many_requests"),
            (400, "invalid_dpop_proof"),
            (401, "use_dpop_nonce"),
        ] {
            assert_eq!(judged(status, error), None, "{status} {error}");
        }
    }
}
