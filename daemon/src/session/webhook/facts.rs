//! What the journal keeps about notifications.

use counterfoil_protocol::{UnixTime, secret::Secret};
use serde::{Deserialize, Serialize};

use crate::trouble::Happened;

/// Notifications: what was begun, what stands, and what still counts of what stood.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Webhook {
    /// Intent: the platform is being asked to notify.
    pub(crate) intent: Option<WebhookIntent>,
    /// What the platform agreed to.
    pub(crate) subscription: Option<Subscription>,
    /// The secret before.
    pub(crate) previous: Option<RetiredSecret>,
    /// The platform refused, and asking again will not help.
    pub(crate) refused: Option<RefusedWebhook>,
}

/// A request for notifications. A retry sends the same with the same key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct WebhookIntent {
    /// Where they shall go.
    pub(crate) url: String,
    /// The approval that they hang on.
    pub(crate) grant_id: String,
    /// The key by which the server knows a retry.
    pub(crate) idempotency_key: String,
    /// When it began.
    pub(crate) since: UnixTime,
}

/// What the platform agreed to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Subscription {
    /// Its name, where the platform has subscriptions.
    pub(crate) id: Option<String>,
    /// What notifications are signed with.
    pub(crate) secret: Secret,
    /// Where they go.
    pub(crate) url: String,
    /// Which.
    pub(crate) events: Vec<String>,
    /// The approval that they hang on.
    pub(crate) grant_id: String,
    /// When it came.
    pub(crate) since: UnixTime,
}

/// A secret that was replaced.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct RetiredSecret {
    /// The secret.
    pub(crate) secret: Secret,
    /// Until when deliveries that it signed are still taken.
    pub(crate) until: UnixTime,
}

/// A refusal for good.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct RefusedWebhook {
    /// For which address.
    pub(crate) url: String,
    /// For which approval.
    pub(crate) grant_id: String,
    /// What was said, and when.
    #[serde(flatten)]
    pub(crate) happened: Happened,
}
