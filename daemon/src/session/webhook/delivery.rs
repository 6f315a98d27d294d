//! Whether a delivery is the platform's, for this store, and of now. Whether it is a repetition is asked afterwards.

use counterfoil_protocol::{
    UnixTime,
    encoding::sha256,
    json,
    webhook::{DEFAULT_TOLERANCE, Signature, WebhookRefusal},
};
use serde_json::{Map, Value};

use crate::{
    session::{Context, Session},
    trouble::Code,
};

/// The longest name of a delivery that is passed on, in bytes.
const MAX_NAME: usize = 256;

/// What the plugin was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery<'d> {
    /// Its headers, as they came.
    pub(crate) headers: &'d [(String, String)],
    /// Its body, byte for byte.
    pub(crate) body: &'d [u8],
}

/// What a delivery says of itself. Only the body is signed: of the headers, only what the body does not say is taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Genuine {
    /// By what it is known again.
    pub(crate) fingerprint: [u8; 32],
    /// When it was signed, on the platform's clock.
    pub(crate) signed_at: UnixTime,
    /// The delivery's name.
    pub(crate) delivery_id: Option<String>,
    /// The name that all attempts to deliver this share.
    pub(crate) delivery_group_id: Option<String>,
    /// What happened.
    pub(crate) kind: Option<String>,
    /// Which attempt this is.
    pub(crate) attempt: Option<u32>,
}

impl Session {
    /// Judges a delivery by the secrets that we have; `server_now` is the time on the platform's clock.
    pub(crate) fn judge_delivery(
        &self,
        delivery: Delivery<'_>,
        server_now: UnixTime,
        cx: &Context<'_>,
    ) -> Result<Genuine, Code> {
        if self.is_in_safe_mode(cx.config) {
            return Err(Code::SafeMode);
        }
        if cx.config.webhook_url.is_none() {
            return Err(Code::WebhookNotConfigured);
        }
        let pairs = delivery.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signature = Signature::among(pairs).map_err(refusal)?;
        self.check_signature(&signature, delivery.body, cx)?;
        if !signature.is_fresh(server_now, DEFAULT_TOLERANCE) {
            return Err(Code::WebhookStale);
        }
        let event = json::parse_object(delivery.body).map_err(|_| Code::WebhookMalformed)?;
        self.check_addressee(&event)?;
        Ok(genuine(delivery, &event, signature.at()))
    }

    fn check_signature(
        &self,
        signature: &Signature<'_>,
        body: &[u8],
        cx: &Context<'_>,
    ) -> Result<(), Code> {
        let connection = self.facts.connection.as_ref().ok_or(Code::WebhookNotConfigured)?;
        let webhook = &self.facts.webhook;
        let standing =
            webhook.subscription.as_ref().filter(|it| it.grant_id == connection.grant_id);
        let previous =
            webhook.previous.as_ref().filter(|it| standing.is_some() && cx.now < it.until);
        let secrets = standing.map(|it| &it.secret).into_iter();
        let secrets = secrets.chain(previous.map(|it| &it.secret));
        if secrets.filter(|secret| signature.is_by(secret, body)).count() > 0 {
            return Ok(());
        }
        // It may be signed with the secret that is on its way to us.
        Err(match (&webhook.intent, standing) {
            (Some(_), _) => Code::WebhookPending,
            (None, Some(_)) => Code::WebhookSignatureInvalid,
            (None, None) => Code::WebhookNotConfigured,
        })
    }

    /// The names in a delivery must be this connection's, as far as they are there.
    fn check_addressee(&self, event: &Map<String, Value>) -> Result<(), Code> {
        let Some(connection) = &self.facts.connection else {
            return Err(Code::WebhookNotConfigured);
        };
        let subscription = self.facts.webhook.subscription.as_ref();
        let ours = [
            ("subscriptionId", subscription.and_then(|it| it.id.as_deref())),
            ("installationId", Some(connection.client_id.as_str())),
            ("grantId", Some(connection.grant_id.as_str())),
            ("companyId", Some(connection.company.id.as_str())),
        ];
        let foreign = |(name, ours): &(&str, Option<&str>)| match (event.get(*name), ours) {
            (None | Some(Value::Null), _) | (_, None) => false,
            (Some(given), Some(ours)) => given.as_str() != Some(ours),
        };
        if ours.iter().any(foreign) { Err(Code::WebhookWrongSubscription) } else { Ok(()) }
    }
}

fn refusal(refusal: WebhookRefusal) -> Code {
    match refusal {
        WebhookRefusal::Absent => Code::WebhookSignatureMissing,
        WebhookRefusal::Malformed => Code::WebhookMalformed,
        WebhookRefusal::Mismatch => Code::WebhookSignatureInvalid,
        WebhookRefusal::Stale => Code::WebhookStale,
    }
}

fn genuine(delivery: Delivery<'_>, event: &Map<String, Value>, signed_at: UnixTime) -> Genuine {
    let said = |names: &[&str]| {
        let values = names.iter().filter_map(|name| event.get(*name)?.as_str());
        values.filter(|text| (1..=MAX_NAME).contains(&text.len())).map(str::to_owned).next()
    };
    let header = |name: &str| {
        let mut found = delivery.headers.iter().filter(|(it, _)| it.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.clone()).filter(|value| value.len() <= MAX_NAME)
    };
    let signed_id = said(&["deliveryId", "delivery_id"]);
    // An attempt has a name of its own. Where the body has none, the signed bytes are the name.
    let fingerprint = if let Some(id) = &signed_id {
        sha256(&[b"id\n", id.as_bytes()].concat())
    } else {
        let time = signed_at.0.to_string();
        sha256(&[b"body\n", time.as_bytes(), b"\n", delivery.body].concat())
    };
    Genuine {
        fingerprint,
        signed_at,
        delivery_id: signed_id.or_else(|| header("x-makepay-delivery-id")),
        delivery_group_id: said(&["deliveryGroupId", "delivery_group_id"])
            .or_else(|| header("x-makepay-delivery-group-id")),
        kind: said(&["type", "event"]).or_else(|| header("x-makepay-event")),
        attempt: header("x-makepay-delivery-attempt")
            .or_else(|| header("x-makepay-attempt"))
            .and_then(|text| text.parse().ok()),
    }
}
