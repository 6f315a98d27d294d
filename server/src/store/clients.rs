//! Clients: partner applications and native installations.

use async_trait::async_trait;
use counterfoil_protocol::{UnixTime, jwk::Thumbprint};

use super::{Part, Result};
use crate::{
    audit::Actor,
    oauth::{
        client::Client,
        installation::{Address, Change},
    },
};

/// A registration to be written: what was decided, on the row as it was read.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The installation's identity: a hash of platform and registration id, or of platform and address.
    pub identity: [u8; 32],
    /// What was decided.
    pub change: Change,
    /// The installation as it was read, when one was known: its id and the key it had.
    pub known: Option<(String, Option<Thumbprint>)>,
    /// What is written.
    pub installation: NewInstallation,
    /// The time now.
    pub now: UnixTime,
}

/// What a registration says about a store.
#[derive(Clone, Debug)]
pub struct NewInstallation {
    /// The client id, if it is to be created.
    pub client_id: String,
    /// The profile's name for it.
    pub name: String,
    /// The profile's scopes.
    pub scopes: String,
    /// The profile's rule for nonces.
    pub require_nonce: bool,
    /// The platform.
    pub platform: String,
    /// Where the store is.
    pub address: Address,
    /// The key that signed.
    pub key: Thumbprint,
    /// The plugin's version.
    pub plugin_version: String,
    /// The platform's version.
    pub platform_version: Option<String>,
}

/// What became of a registration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RegisterOutcome {
    /// Written.
    Done,
    /// Somebody else changed the installation meanwhile: read and decide again.
    Raced,
}

/// A reset to be written.
#[derive(Clone, Debug)]
pub struct Reset {
    /// The installation.
    pub client_id: String,
    /// SHA-256 of the request's `Idempotency-Key`.
    pub idempotency: [u8; 32],
    /// SHA-256 of the access token that was presented.
    pub token_hash: [u8; 32],
    /// The key that signed.
    pub key: Thumbprint,
    /// The name of this reset (a UUID), part of the answer.
    pub mutation_id: String,
    /// The time now.
    pub now: UnixTime,
}

/// The receipt of a reset.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResetReceipt {
    /// SHA-256 of the access token that earned it.
    pub token_hash: [u8; 32],
    /// The key that signed.
    pub key: Thumbprint,
    /// The answer.
    pub body: String,
}

/// Operations on clients.
#[async_trait]
pub trait Clients: Send + Sync {
    /// Finds a client. An installation that has lapsed is not found, nor is an application that was deleted or whose
    /// company was closed.
    async fn client(&self, id: &str, now: UnixTime) -> Result<Option<Client>>;

    /// Finds a native installation by its identity, lapsed or not.
    async fn installation(&self, identity: &[u8; 32]) -> Result<Option<Client>>;

    /// Native installations that have not lapsed, by site. The part begins after the site of another, a space
    /// and its client id.
    async fn installations(&self, part: Part<'_>, now: UnixTime) -> Result<Vec<Client>>;

    /// Writes a registration, if the installation is still as it was read.
    async fn register(&self, registration: Registration) -> Result<RegisterOutcome>;

    /// Finds the receipt of a reset.
    async fn reset_receipt(
        &self,
        client_id: &str,
        idempotency: &[u8; 32],
    ) -> Result<Option<ResetReceipt>>;

    /// Resets an installation: forgets its keys, ends its grants, families and codes, disables its webhook
    /// subscriptions, and keeps the receipt. Answers the body.
    async fn reset(&self, reset: Reset) -> Result<String>;

    /// Forgets an installation whole, with everything that was approved for it. False when there is none.
    async fn release(&self, client_id: &str, actor: &Actor, now: UnixTime) -> Result<bool>;

    /// Removes what has passed its time: lapsed installations, old requests, codes, sessions, revocations.
    async fn sweep(&self, now: UnixTime) -> Result<()>;
}
