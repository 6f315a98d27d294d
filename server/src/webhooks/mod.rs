//! Notifications: which there are, what they say, when they are tried again. Pure but for the sender, which runs them.
//!
//! They are written to an outbox in the transaction of what they tell of (`store/sqlite/webhooks/`), so none is lost and
//! none is made up, and sent from there at least once, in order per payment link and endpoint.

pub mod endpoint;
pub mod log;
pub mod payload;
pub mod schedule;
pub mod secret;
pub mod sender;
pub mod view;
