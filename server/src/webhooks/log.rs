//! What the log keeps of deliveries.

use counterfoil_protocol::UnixTime;

use super::endpoint::Origin;

/// One attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// The `deliveryId` it had.
    pub delivery_id: String,
    /// When it began.
    pub at: UnixTime,
    /// How long it took.
    pub milliseconds: i64,
    /// Where it went.
    pub url: String,
    /// The status that was answered.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// Some headers of the answer.
    pub headers: String,
    /// The beginning of the answer.
    pub excerpt: String,
}

/// A delivery.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// Its place: the cursor of lists.
    pub position: i64,
    /// Its name.
    pub id: String,
    /// The name that its attempts share.
    pub group_id: String,
    /// The endpoint.
    pub endpoint_id: String,
    /// The client.
    pub client_id: String,
    /// The connection.
    pub grant_id: Option<String>,
    /// The payment link, or nothing.
    pub link_uid: String,
    /// The event's name.
    pub event: String,
    /// Why it was sent.
    pub origin: Origin,
    /// `waiting`, `delivered` or `failed`.
    pub state: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next; nothing when it waits for an earlier one, or for nothing any more.
    pub due_at: Option<UnixTime>,
    /// When it was written.
    pub created_at: UnixTime,
    /// When it ended.
    pub settled_at: Option<UnixTime>,
    /// The body but for its `deliveryId`.
    pub body: String,
    /// Whether the connection stands that it is about. Nothing is sent for one that has ended.
    pub stands: bool,
    /// Its attempts, first one first; the newest alone in a list.
    pub tried: Vec<Attempt>,
}
