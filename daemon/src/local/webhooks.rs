//! The platform's notifications: a plugin hands one over and hears whether it is genuine. The secret stays here.

use std::{fmt, sync::Arc, time::Duration};

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use counterfoil_protocol::UnixTime;
use hyper::{Request, StatusCode, body::Incoming};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{App, Response, problem::json, routes::control_body_within};
use crate::{
    deliveries::{Fingerprint, Seen},
    session::{Delivery, Done, Event, Genuine},
    situation::Working,
    trouble::{Code, Trouble},
    upstream::Answer,
};

/// The longest body of a delivery, in bytes.
const MAX_DELIVERY: usize = 256 * 1_024;

/// The longest request that hands one over, in bytes: a body whose every byte is escaped, and its headers.
const MAX_REQUEST: usize = 6 * MAX_DELIVERY + 64 * 1_024;

/// The most headers of a delivery.
const MAX_HEADERS: usize = 200;

/// How long whoever wants another secret waits for the platform; the request goes on.
const PATIENCE: Duration = Duration::from_secs(25);

/// What the platform answers to a store whose subscription is inactive.
const INACTIVE: &str = "webhook_subscription_inactive";

/// Standard base64 (RFC 4648 §4), with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyBody {
    headers: Headers,
    body: Option<String>,
    body_base64: Option<String>,
}

/// Names and values in the order of the request: a name may come twice there, and must not be lost on the way.
struct Headers(Vec<(String, String)>);

#[derive(Serialize)]
struct VerifiedBody<'a> {
    event: &'a RawValue,
    r#type: Option<String>,
    delivery_id: Option<String>,
    delivery_group_id: Option<String>,
    attempt: Option<u32>,
    signed_at: UnixTime,
}

/// `POST /v1/webhooks/verify`
pub(super) async fn verify(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let VerifyBody { headers, body, body_base64 } =
        control_body_within(request, MAX_REQUEST).await?;
    let body = bytes(body, body_base64)?;
    if body.len() > MAX_DELIVERY {
        return Err(Trouble::of(Code::BodyTooLarge));
    }
    let situation = app.situation();
    let working = situation.working()?;
    let (session, cx) = (working.actor.session(), app.context(&situation));
    let server_now = working.upstream.server_time();
    let delivery = Delivery { headers: &headers.0, body: &body };
    let genuine = session.judge_delivery(delivery, server_now, &cx).map_err(Trouble::of)?;
    let connection = session.facts.connection.as_ref();
    let fingerprint = Fingerprint {
        hash: genuine.fingerprint,
        signed_at: genuine.signed_at,
        connected_at: connection.map_or(cx.now, |it| it.connected_at),
    };
    remember(app, fingerprint, server_now).await?;
    let event = serde_json::from_slice(&body).map_err(|_| Trouble::of(Code::WebhookMalformed))?;
    let Genuine { kind, delivery_id, delivery_group_id, attempt, signed_at, .. } = genuine;
    let verified =
        VerifiedBody { event, r#type: kind, delivery_id, delivery_group_id, attempt, signed_at };
    Ok(json(StatusCode::OK, &verified))
}

/// `POST /v1/admin/webhook/rotate`
pub(super) async fn rotate(app: &App) -> Result<Response, Trouble> {
    let answered = app.ask(Event::WebhookRotationAsked, PATIENCE).await?;
    // Without a word of the platform the request goes on, and the view says that it is pending.
    let status = match answered.map(|answered| answered.done) {
        Some(Done::Webhook) => StatusCode::OK,
        Some(_) => return Err(Trouble::of(Code::Internal)),
        None => StatusCode::ACCEPTED,
    };
    let situation = app.situation();
    let session = situation.working()?.actor.session();
    Ok(json(status, &session.webhook(&app.context(&situation))))
}

/// Listens to what the platform answers to a plugin's call: without an active subscription it takes no payment links
/// of some stores, and the daemon can mend that.
pub(super) fn heed(working: &Working, refusal: &Answer) {
    if refusal.error().as_deref() != Some(INACTIVE) {
        return;
    }
    let actor = working.actor.clone();
    tokio::spawn(async move { drop(actor.ask(Event::WebhookInactive, PATIENCE).await) });
}

/// Takes the delivery for taken, before anybody acts on it.
async fn remember(app: &App, delivery: Fingerprint, now: UnixTime) -> Result<(), Trouble> {
    let deliveries = Arc::clone(&app.deliveries);
    let remembered = tokio::task::spawn_blocking(move || deliveries.remember(&delivery, now)).await;
    let seen = match remembered {
        Ok(Ok(seen)) => seen,
        Ok(Err(error)) => {
            tracing::error!(%error, "a webhook delivery cannot be remembered");
            return Err(Trouble::of(Code::StorageFailed));
        }
        Err(_) => return Err(Trouble::of(Code::Internal)),
    };
    match seen {
        Seen::Never => Ok(()),
        Seen::Before => Err(Trouble::of(Code::WebhookReplayed)),
        Seen::Unknown => Err(Trouble::of(Code::WebhookStale)),
        Seen::Full => Err(Trouble::of(Code::WebhookOverload).retry_after(60)),
    }
}

fn bytes(text: Option<String>, base64: Option<String>) -> Result<Vec<u8>, Trouble> {
    let refuse = |what| {
        let said = format!("The plugin's request is not understood: {what}.");
        Err(Trouble::new(Code::BodyMalformed, said))
    };
    match (text, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(base64)) => {
            BASE64.decode(base64).or_else(|_| refuse("body_base64 is not base64"))
        }
        _ => refuse("exactly one of body and body_base64 is given"),
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of header names and their values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    pairs.extend(value.each().map(|value| (name.clone(), value)));
                    if pairs.len() > MAX_HEADERS {
                        return Err(serde::de::Error::custom("there are too many headers"));
                    }
                }
                Ok(Headers(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

/// A header's value; several where the name came several times.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    One(String),
    Several(Vec<String>),
}

impl Value {
    fn each(self) -> impl Iterator<Item = String> {
        match self {
            Self::One(value) => vec![value].into_iter(),
            Self::Several(values) => values.into_iter(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &str) -> Result<Vec<(String, String)>, serde_json::Error> {
        serde_json::from_str::<Headers>(text).map(|headers| headers.0)
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn headers_keep_what_came_twice() {
        let given = headers(r#"{"A":"1","a":["2","3"],"b":[]}"#).expect("headers");
        assert_eq!(given, [pair("A", "1"), pair("a", "2"), pair("a", "3")]);
        for wrong in [r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":[["1"]]}"#, "[]", "null"] {
            headers(wrong).expect_err(wrong);
        }
        let many = |n: usize| format!(r#"{{"a":{}}}"#, serde_json::json!(vec!["x"; n]));
        assert_eq!(headers(&many(MAX_HEADERS)).expect("headers").len(), MAX_HEADERS);
        headers(&many(MAX_HEADERS + 1)).expect_err("too many");
    }

    #[test]
    fn a_body_is_given_once_as_text_or_as_base64() {
        let given = |text: Option<&str>, base64: Option<&str>| {
            bytes(text.map(str::to_owned), base64.map(str::to_owned)).map_err(|it| it.code)
        };
        assert_eq!(given(Some("{}"), None), Ok(b"{}".to_vec()));
        assert_eq!(given(Some(""), None), Ok(Vec::new()));
        for text in ["AP8KgA==", "AP8KgA"] {
            assert_eq!(given(None, Some(text)), Ok(vec![0, 0xff, 0x0a, 0x80]), "{text}");
        }
        for wrong in
            [(None, None), (Some("{}"), Some("e30=")), (None, Some("e30-_")), (None, Some("e3 0="))]
        {
            assert_eq!(given(wrong.0, wrong.1), Err(Code::BodyMalformed), "{wrong:?}");
        }
    }
}
