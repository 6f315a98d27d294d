//! Endpoints and deliveries in words.

use crate::{
    partner::event::EventKind,
    store::ListedEndpoint,
    webhooks::{
        endpoint::{Endpoint, EndpointKind, Origin},
        log::{Attempt, Delivery},
    },
};

/// A word, and whether it is good news (`good`), bad news (`bad`) or neither.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Word {
    /// The word.
    pub text: &'static str,
    /// The class.
    pub class: &'static str,
}

const fn word(text: &'static str, class: &'static str) -> Word {
    Word { text, class }
}

/// How an endpoint is.
pub fn standing(it: &Endpoint) -> Word {
    match it {
        Endpoint { stands: false, .. } => word("Connection ended", ""),
        Endpoint { active: false, disabled_reason: Some(_), .. } => {
            word("Disabled: it failed", "bad")
        }
        Endpoint { active: false, .. } => word("Disabled", ""),
        Endpoint { failing_since: Some(_), .. } => word("Failing", "bad"),
        _ => word("Enabled", "good"),
    }
}

/// What to do about an endpoint that takes nothing.
pub fn what_to_do(it: &Endpoint) -> Option<&'static str> {
    match it {
        Endpoint { stands: false, .. } => None,
        Endpoint { active: false, disabled_reason: Some(_), .. } => Some(
            "It took nothing for days, so nothing more is sent. Mend the receiver, send a test, then enable it again.",
        ),
        Endpoint { active: true, failing_since: Some(_), .. } => Some(
            "The receiver does not take what is sent. Mend it soon: an endpoint that takes nothing for days is disabled.",
        ),
        _ => None,
    }
}

/// Whose an endpoint is.
pub fn of(it: &ListedEndpoint) -> String {
    let whose = match &it.site_url {
        Some(site) => format!("the store {site}"),
        None => format!("the application {}", it.name),
    };
    match it.endpoint.kind {
        EndpointKind::Link => format!("Named by payment links of {whose}"),
        EndpointKind::Application | EndpointKind::Subscription => format!("Of {whose}"),
    }
}

/// What an event is.
pub fn event(name: &str) -> &str {
    match EventKind::parse(name) {
        Some(EventKind::StatusChanged) => "A payment moved",
        Some(EventKind::LinkCreated) => "A payment link was made",
        Some(EventKind::LinkUpdated) => "A payment link was changed",
        Some(EventKind::LinkArchived) => "A payment link was put away",
        Some(EventKind::Test) => "Test",
        None => name,
    }
}

/// How a delivery stands.
pub fn state(it: &Delivery) -> Word {
    match it.state.as_str() {
        "delivered" => word("Delivered", "good"),
        "failed" => word("Failed", "bad"),
        _ if it.attempts > 0 => word("Is tried again", ""),
        _ => word("On its way", ""),
    }
}

/// Why a delivery failed.
pub fn reason(word: &str) -> &'static str {
    match word {
        "attempts_exhausted" => "Every attempt failed.",
        "gone" => "The receiver answered 410: this address takes nothing any more.",
        "endpoint_disabled" => "The endpoint was disabled.",
        "endpoint_gone" => "The endpoint is gone.",
        "connection_ended" => "The connection it is about has ended.",
        "secret_unreadable" => "The secret that signs could not be read. Rotate it.",
        _ => "It was given up.",
    }
}

/// Why it was sent.
pub fn origin(it: Origin) -> &'static str {
    match it {
        Origin::Event => "It happened",
        Origin::Manual => "Somebody sent it once more",
        Origin::Test => "Somebody tried the endpoint",
    }
}

/// What came of an attempt.
pub fn outcome(it: &Attempt) -> String {
    match (it.status, &it.error) {
        (Some(status), _) => format!("Answered {status}"),
        // A code stands before the sentence.
        (None, Some(error)) => {
            error.split_once(": ").map_or(error.as_str(), |(_, text)| text).to_owned()
        }
        (None, None) => "No answer".to_owned(),
    }
}
