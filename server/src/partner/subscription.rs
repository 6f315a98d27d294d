//! Webhook subscriptions: where a store's notifications go. A grant has one, and it keeps its id.

use counterfoil_protocol::{UnixTime, callback::LocalHosts};
use serde::Serialize;

use super::{
    event::{PatternRefusal, Patterns},
    json::Json,
    link::rfc3339,
    members::{Fault, Members},
};

/// The names by which clients call the endpoint; the first is ours.
const URL_MEMBERS: [&str; 4] = ["url", "endpointUrl", "callbackUrl", "webhookUrl"];

/// What is sent unless the client says otherwise.
const DEFAULT_EVENTS: &str = "makepay.payment.*";

/// The member that says otherwise.
const EVENTS: &str = "events";

/// A webhook subscription.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subscription {
    /// Its name, for as long as the grant lives.
    pub id: String,
    /// The grant.
    pub grant_id: String,
    /// Where notifications go.
    pub url: String,
    /// Which.
    pub events: Patterns,
    /// Whether they are sent.
    pub active: bool,
    /// For people.
    pub description: String,
    /// The store's own data.
    pub metadata: Json,
    /// The signing secret.
    pub secret: SealedSecret,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it last changed.
    pub updated_at: UnixTime,
    /// Counts its changes.
    pub version: i64,
}

/// A signing secret as it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealedSecret {
    /// Sealed with the at-rest key.
    pub sealed: Vec<u8>,
    /// Its end, by which people tell secrets apart.
    pub last4: String,
}

/// A subscription as a client wants it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SubscriptionRequest {
    /// The name under which the client gave the address.
    pub member: &'static str,
    /// Where notifications go.
    pub url: String,
    /// Which.
    pub events: Patterns,
    /// Whether they are sent.
    pub active: bool,
    /// For people.
    pub description: String,
    /// The store's own data.
    pub metadata: Json,
    /// Whether a new secret is wanted.
    pub rotate_secret: bool,
}

/// What is wrong with a request.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SubscriptionFault {
    /// No endpoint.
    #[error("The member url is required: where notifications go.")]
    MissingUrl,
    /// An endpoint that we do not send to.
    #[error("{0}")]
    Url(Fault),
    /// Events that are none.
    #[error("The member {EVENTS}: {0}.")]
    Events(#[from] PatternRefusal),
    /// Another member.
    #[error("{0}")]
    Member(#[from] Fault),
}

impl SubscriptionFault {
    /// The member that is wrong.
    #[must_use]
    pub fn member(&self) -> &str {
        match self {
            Self::MissingUrl => URL_MEMBERS[0],
            Self::Events(_) => EVENTS,
            Self::Url(fault) | Self::Member(fault) => &fault.member,
        }
    }

    /// The code on the wire.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingUrl => "missing_callback_url",
            Self::Url(_) => "invalid_callback_url",
            Self::Events(_) | Self::Member(_) => "invalid_webhook_subscription",
        }
    }
}

impl SubscriptionRequest {
    /// Reads a body: a JSON object, whose member names were found unique before.
    pub fn parse(text: &str, local: LocalHosts) -> Result<Self, SubscriptionFault> {
        let body = Members::read(text, "")?;
        let named = URL_MEMBERS.into_iter().find(|name| body.raw(name).is_some());
        let name = named.ok_or(SubscriptionFault::MissingUrl)?;
        let url = body.endpoint(name, local).map_err(SubscriptionFault::Url)?;
        let must = "a list of 1 to 32 event names, in which * stands for any";
        let events = match body.raw(EVENTS) {
            None => vec![DEFAULT_EVENTS.to_owned()],
            Some(list) => serde_json::from_str(list.get()).map_err(|_| body.fault(EVENTS, must))?,
        };
        Ok(Self {
            member: name,
            url: url.ok_or(SubscriptionFault::MissingUrl)?,
            events: Patterns::parse(events)?,
            active: body.boolean("active")?.unwrap_or(true),
            description: body.text("description")?.unwrap_or_default(),
            metadata: body.object("metadata")?.unwrap_or_else(Json::empty_object),
            rotate_secret: body.boolean("rotateSecret")?.unwrap_or(false),
        })
    }

    /// Whether the subscription gets a new secret.
    #[must_use]
    pub fn needs_secret(&self, known: Option<&Subscription>) -> bool {
        known.is_none() || self.rotate_secret
    }

    /// The subscription as it is afterwards. A known one keeps its id.
    #[must_use]
    pub fn apply(
        self,
        known: Option<&Subscription>,
        new_id: String,
        grant_id: &str,
        secret: SealedSecret,
        now: UnixTime,
    ) -> Subscription {
        Subscription {
            id: known.map_or(new_id, |known| known.id.clone()),
            grant_id: grant_id.to_owned(),
            url: self.url,
            events: self.events,
            active: self.active,
            description: self.description,
            metadata: self.metadata,
            secret,
            created_at: known.map_or(now, |known| known.created_at),
            updated_at: now,
            version: known.map_or(1, |known| known.version + 1),
        }
    }
}

/// A subscription on the wire. The secret is not in it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionView<'a> {
    id: &'a str,
    url: &'a str,
    events: &'a Patterns,
    active: bool,
    status: &'static str,
    description: &'a str,
    metadata: &'a Json,
    secret_last4: &'a str,
    created_at: String,
    updated_at: String,
}

impl Subscription {
    /// The subscription with nothing more to be sent. Its secret stays.
    #[must_use]
    pub fn disabled(mut self, now: UnixTime) -> Self {
        self.active = false;
        self.updated_at = now;
        self.version += 1;
        self
    }

    /// The subscription as it is shown to its own client.
    #[must_use]
    pub fn view(&self) -> SubscriptionView<'_> {
        SubscriptionView {
            id: &self.id,
            url: &self.url,
            events: &self.events,
            active: self.active,
            status: if self.active { "active" } else { "disabled" },
            description: &self.description,
            metadata: &self.metadata,
            secret_last4: &self.secret.last4,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        }
    }
}

#[cfg(test)]
mod tests;
