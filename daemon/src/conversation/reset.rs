//! Ending the connection at the server: the webhook subscription, then the installation's tokens and grant.

use bytes::Bytes;
use hyper::{Method, StatusCode, header::HeaderValue};

use super::{Conversation, IDEMPOTENCY_KEY, accept_json, refused, unanswered};
use crate::{
    platform::Webhooks,
    session::{ResetOrder, ResetOutcome},
    trouble::{Code, Trouble},
    upstream::{Answer, Signed, Unanswered},
};

/// What a server answers that has forgotten the installation, or reset it before.
const NOT_FOUND: &str = "native_installation_not_found";

impl Conversation {
    /// Ends the connection at the server, or says why that is not confirmed.
    pub(crate) async fn reset(&self, order: &ResetOrder) -> ResetOutcome {
        let endpoints = match self.endpoints().await {
            Ok(endpoints) => endpoints,
            Err(trouble) => return ResetOutcome::Failed(trouble),
        };
        if self.config.platform.webhooks == Webhooks::Subscription {
            let url = format!("{}/makepay/webhook-subscriptions/current", self.config.api_base);
            // The reset ends the subscription as well; this only lets the last deliveries go in peace.
            let _ = self.delete(&url, order, &order.disconnect.webhook_key).await;
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &order.client_id)
            .finish();
        let url = format!("{}?{query}", endpoints.installations);
        let answer = self.delete_twice(&url, order, &order.disconnect.reset_key).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(reason) => {
                self.forget_endpoints();
                return ResetOutcome::Failed(unanswered(&reason));
            }
        };
        match judge(&answer) {
            Some(outcome) => outcome,
            None => match &endpoints.revocation {
                Some(url) => self.revoke(url, order).await,
                None => ResetOutcome::Impossible,
            },
        }
    }

    /// Once more after no answer, and once more after a failure of the server's.
    async fn delete_twice(
        &self,
        url: &str,
        order: &ResetOrder,
        key: &str,
    ) -> Result<Answer, Unanswered> {
        let first = match self.delete(url, order, key).await {
            Err(Unanswered::Network(..)) => self.delete(url, order, key).await?,
            first => first?,
        };
        if first.status.is_server_error() && first.status != StatusCode::NOT_IMPLEMENTED {
            return self.delete(url, order, key).await;
        }
        Ok(first)
    }

    async fn delete(&self, url: &str, order: &ResetOrder, key: &str) -> Result<Answer, Unanswered> {
        let mut headers = accept_json();
        headers
            .insert(IDEMPOTENCY_KEY, HeaderValue::from_str(key).map_err(|_| Unanswered::Unsigned)?);
        let request = Signed {
            method: Method::DELETE,
            url,
            headers,
            body: Bytes::new(),
            token: Some(&order.access),
            key: &order.key,
            previous: None,
        };
        self.upstream.send_signed(&request).await
    }

    /// Revokes the refresh token (RFC 7009), for a server that cannot reset.
    async fn revoke(&self, url: &str, order: &ResetOrder) -> ResetOutcome {
        let form = [
            ("token", order.refresh.expose()),
            ("token_type_hint", "refresh_token"),
            ("client_id", &order.client_id),
        ];
        match self.send_form(url, &form, &order.key, None).await {
            Ok(answer) if answer.status.is_success() => ResetOutcome::Confirmed,
            Ok(answer) => ResetOutcome::Failed(refused(&answer, Code::DisconnectPending)),
            Err(reason) => ResetOutcome::Failed(unanswered(&reason)),
        }
    }
}

/// What an answer to the reset means; `None` when the server has no reset.
fn judge(answer: &Answer) -> Option<ResetOutcome> {
    let error = answer.error();
    Some(match answer.status.as_u16() {
        200..=299 => ResetOutcome::Confirmed,
        404 if error.as_deref() == Some(NOT_FOUND) => ResetOutcome::Confirmed,
        404 | 405 | 501 => return None,
        401 => ResetOutcome::NeedsToken,
        _ => {
            let trouble: Trouble = refused(answer, Code::DisconnectPending);
            ResetOutcome::Failed(trouble)
        }
    })
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use super::*;

    #[test]
    fn what_answers_to_a_reset_mean() {
        let body = |text: &'static str| Bytes::from_static(text.as_bytes());
        let outcome = |status: u16, text| {
            let status = StatusCode::from_u16(status).expect("a status");
            judge(&Answer { status, headers: HeaderMap::new(), body: body(text) })
        };
        assert_eq!(outcome(200, r#"{"reset":true}"#), Some(ResetOutcome::Confirmed));
        assert_eq!(outcome(204, ""), Some(ResetOutcome::Confirmed));
        let gone = r#"{"error":"native_installation_not_found"}"#;
        assert_eq!(outcome(404, gone), Some(ResetOutcome::Confirmed));
        assert_eq!(outcome(404, "<html>"), None);
        assert_eq!(outcome(405, ""), None);
        assert_eq!(outcome(501, ""), None);
        let dead = r#"{"error":"invalid_reset_receipt_proof"}"#;
        assert_eq!(outcome(401, dead), Some(ResetOutcome::NeedsToken));
        for status in [302, 400, 403, 429, 500, 503] {
            assert!(matches!(outcome(status, ""), Some(ResetOutcome::Failed(_))), "{status}");
        }
    }
}
