//! Where notifications go.

use counterfoil_protocol::UnixTime;

use crate::partner::{event::Patterns, subscription::SealedSecret};

/// How many endpoints an application may have.
pub const MAX_OF_APPLICATION: u32 = 10;

/// How an endpoint came to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndpointKind {
    /// A connection subscribed, through the partner API.
    Subscription,
    /// An application's own, told of every company that approved it.
    Application,
    /// A payment link named it.
    Link,
}

impl EndpointKind {
    /// The word in the database and in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Application => "application",
            Self::Link => "link",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Subscription, Self::Application, Self::Link]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// An endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// Its name.
    pub id: String,
    /// How it came to be.
    pub kind: EndpointKind,
    /// Whose it is.
    pub client_id: String,
    /// Whether that is a store that registered itself, and no application.
    pub native: bool,
    /// The store's platform.
    pub platform: Option<String>,
    /// The connection, of all but an application's.
    pub grant_id: Option<String>,
    /// The company whose people look after it.
    pub company_id: String,
    /// The address.
    pub url: String,
    /// Which events.
    pub events: Patterns,
    /// Whether they are sent.
    pub active: bool,
    /// For people.
    pub description: String,
    /// What signs.
    pub secret: SealedSecret,
    /// What signs as well, until then.
    pub previous: Option<(Vec<u8>, UnixTime)>,
    /// Since when nothing was taken.
    pub failing_since: Option<UnixTime>,
    /// Why it is disabled, if nobody asked for that.
    pub disabled_reason: Option<String>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it last changed.
    pub updated_at: UnixTime,
    /// Whether its connection stands.
    pub stands: bool,
}

impl Endpoint {
    /// The header that carries the signature.
    #[must_use]
    pub fn signature_header(&self) -> &'static str {
        let [native, application] = counterfoil_protocol::webhook::SIGNATURE_HEADERS;
        if self.native { native } else { application }
    }

    /// Why nothing may be sent there; a test may be, to see whether it could be enabled again.
    #[must_use]
    pub fn closed(&self, origin: Origin) -> Option<&'static str> {
        if !self.stands {
            Some("connection_ended")
        } else if !self.active && origin != Origin::Test {
            Some("endpoint_disabled")
        } else {
            None
        }
    }
}

/// Why something is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// It happened.
    Event,
    /// It happened, and somebody wants it sent once more.
    Manual,
    /// Somebody tries the endpoint.
    Test,
}

impl Origin {
    /// The word in the database and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Manual => "manual",
            Self::Test => "test",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Event, Self::Manual, Self::Test].into_iter().find(|it| it.as_str() == text)
    }
}
