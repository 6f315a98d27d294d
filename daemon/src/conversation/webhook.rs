//! Asking the platform for notifications: where they go, and the secret that will sign them.

use bytes::Bytes;
use counterfoil_protocol::secret::Secret;
use hyper::{
    Method,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::{Map, Value, json};

use super::{Conversation, IDEMPOTENCY_KEY, JSON, accept_json, refused, unanswered};
use crate::{
    platform::Webhooks,
    session::{Failure, SubscribeOrder, Subscribed, Unsubscribed},
    trouble::{Code, Trouble},
    upstream::{Answer, Signed},
};

/// Which notifications are wanted.
const EVENTS: [&str; 1] = ["makepay.payment.*"];

/// The longest secret taken, in bytes.
const MAX_SECRET: usize = 512;

impl Conversation {
    /// Asks, and judges the answer. The same order is the same request, byte for byte.
    pub(crate) async fn subscribe(
        &self,
        order: &SubscribeOrder,
    ) -> Result<Subscribed, Unsubscribed> {
        let kind = self.config.platform.webhooks;
        let base = &self.config.api_base;
        let (method, url, body) = match kind {
            Webhooks::LinkSecret => {
                (Method::POST, format!("{base}/makepay/webhook-secret"), json!({}))
            }
            Webhooks::Subscription => (
                Method::PUT,
                format!("{base}/makepay/webhook-subscriptions/current"),
                self.subscription(&order.url),
            ),
        };
        let mut headers = accept_json();
        headers.insert(CONTENT_TYPE, JSON);
        let key = HeaderValue::from_str(&order.idempotency_key)
            .map_err(|_| passing(Trouble::of(Code::Internal)))?;
        headers.insert(IDEMPOTENCY_KEY, key);
        let request = Signed {
            method,
            url: &url,
            headers,
            body: Bytes::from(body.to_string()),
            token: Some(&order.access),
            key: &order.key,
            previous: None,
        };
        let answer = self.upstream.send_signed(&request).await;
        let answer = answer.map_err(|reason| passing(unanswered(&reason)))?;
        judge(&answer, kind, order)
    }

    fn subscription(&self, url: &str) -> Value {
        json!({
            "active": true,
            "description": format!("Notifications for {}", self.config.site_url),
            "events": EVENTS,
            "metadata": { "source": "counterfoil", "siteUrl": self.config.site_url },
            "rotateSecret": true,
            "url": url,
        })
    }
}

/// What an answer gives, or why it gives nothing.
fn judge(
    answer: &Answer,
    kind: Webhooks,
    order: &SubscribeOrder,
) -> Result<Subscribed, Unsubscribed> {
    if answer.status.is_success() {
        let given = answer.json().and_then(|body| given(&body, kind, order));
        // An answer without a secret is no answer; the same request gets the right one again.
        return given.ok_or_else(|| passing(Trouble::of(Code::ServerUnacceptable)));
    }
    let error = answer.error();
    let spent = matches!(
        error.as_deref(),
        Some(
            "idempotency_receipt_expired"
                | "idempotency_key_conflict"
                | "idempotency_key_dpop_mismatch"
        )
    );
    let trouble = refused(answer, Code::WebhookRefused);
    Err(match answer.status.as_u16() {
        409 if spent => Unsubscribed::KeySpent,
        401 if trouble.code == Code::WebhookRefused => {
            Unsubscribed::NeedsToken(order.access.clone())
        }
        400 | 403..=405 | 410 | 413..=422 if trouble.code == Code::WebhookRefused => {
            Unsubscribed::Failed(Failure::Final(trouble))
        }
        _ => passing(trouble),
    })
}

fn given(body: &Map<String, Value>, kind: Webhooks, order: &SubscribeOrder) -> Option<Subscribed> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let (secret, subscription) = match kind {
        Webhooks::LinkSecret => (text(body.get("webhookSecret")?.get("secret")), None),
        Webhooks::Subscription => {
            (text(body.get("signingSecret")), Some(body.get("subscription")?))
        }
    };
    let good = |secret: &String| {
        (1..=MAX_SECRET).contains(&secret.len()) && secret.bytes().all(|b| b.is_ascii_graphic())
    };
    let secret = Secret::new(secret.filter(good)?);
    let Some(subscription) = subscription else {
        return Some(Subscribed { id: None, secret, events: Vec::new() });
    };
    let elsewhere = text(subscription.get("url")).is_some_and(|url| url != order.url);
    if elsewhere || subscription.get("active") == Some(&Value::Bool(false)) {
        return None;
    }
    let id = text(subscription.get("id")).filter(|id| (1..=200).contains(&id.len()))?;
    let events = subscription.get("events").and_then(Value::as_array);
    let events = events.into_iter().flatten().take(32).filter_map(|event| text(Some(event)));
    Some(Subscribed { id: Some(id), secret, events: events.collect() })
}

fn passing(trouble: Trouble) -> Unsubscribed {
    Unsubscribed::Failed(Failure::Passing(trouble))
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, StatusCode};

    use super::*;

    const GOOD: &str = r#"{"ok":true,"signingSecret":"whsec_1","subscription":{"id":"sub_1",
        "url":"https://shop.example/hook","events":["makepay.payment.*"],"active":true}}"#;

    fn outcome(kind: Webhooks, status: u16, body: &str) -> Result<Subscribed, Unsubscribed> {
        let order = SubscribeOrder {
            url: "https://shop.example/hook".to_owned(),
            access: Secret::new("access-1"),
            key: crate::session::samples::KEY,
            idempotency_key: "wordpress-webhook-1".to_owned(),
        };
        let status = StatusCode::from_u16(status).expect("a status");
        let body = Bytes::copy_from_slice(body.as_bytes());
        judge(&Answer { status, headers: HeaderMap::new(), body }, kind, &order)
    }

    #[test]
    fn secrets_are_taken_as_the_platform_gives_them() {
        for status in [200, 201] {
            let expected = Subscribed {
                id: Some("sub_1".to_owned()),
                secret: Secret::new("whsec_1"),
                events: vec!["makepay.payment.*".to_owned()],
            };
            assert_eq!(outcome(Webhooks::Subscription, status, GOOD), Ok(expected));
        }
        let link = r#"{"webhookSecret":{"secret":"whsec_2","last4":"ec_2"}}"#;
        let expected = Subscribed { id: None, secret: Secret::new("whsec_2"), events: Vec::new() };
        assert_eq!(outcome(Webhooks::LinkSecret, 200, link), Ok(expected));
    }

    #[test]
    fn an_answer_that_gives_nothing_is_asked_for_again() {
        for body in [
            "",
            "[]",
            r#"{"ok":true}"#,
            &GOOD.replace("whsec_1", ""),
            &GOOD.replace("whsec_1", "two words"),
            &GOOD.replace("/hook", "/other"),
            &GOOD.replace("\"active\":true", "\"active\":false"),
            &GOOD.replace("\"id\":\"sub_1\",", ""),
        ] {
            let expected = Err(passing(Trouble::of(Code::ServerUnacceptable)));
            assert_eq!(outcome(Webhooks::Subscription, 200, body), expected, "{body}");
        }
    }

    #[test]
    fn what_refusals_mean() {
        let refused = |status, error: &str| {
            outcome(Webhooks::Subscription, status, &format!("{{\"error\":\"{error}\"}}"))
        };
        for spent in [
            "idempotency_receipt_expired",
            "idempotency_key_conflict",
            "idempotency_key_dpop_mismatch",
        ] {
            assert_eq!(refused(409, spent), Err(Unsubscribed::KeySpent), "{spent}");
        }
        let token = Secret::new("access-1");
        assert_eq!(refused(401, "invalid_token"), Err(Unsubscribed::NeedsToken(token)));
        for (status, error) in
            [(400, "invalid_callback_url"), (403, "insufficient_scope"), (404, "not_found")]
        {
            let failed = matches!(
                refused(status, error),
                Err(Unsubscribed::Failed(Failure::Final(trouble)))
                    if trouble.code == Code::WebhookRefused && trouble.message.contains(error)
            );
            assert!(failed, "{status} {error}");
        }
        for (status, error, code) in [
            (401, "invalid_dpop_proof", Code::ProofRefused),
            (400, "temporarily_unavailable", Code::ServerUnreachable),
            (429, "slow_down", Code::ServerUnreachable),
            (503, "", Code::ServerUnreachable),
            (409, "busy", Code::WebhookRefused),
            (302, "", Code::WebhookRefused),
        ] {
            let passes = matches!(
                refused(status, error),
                Err(Unsubscribed::Failed(Failure::Passing(trouble))) if trouble.code == code
            );
            assert!(passes, "{status} {error}");
        }
    }
}
