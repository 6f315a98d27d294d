//! What the partner API keeps: payment links, webhook subscriptions and secrets, and the receipts of what was answered.

use async_trait::async_trait;
use counterfoil_protocol::UnixTime;

use super::{Company, Listed, Page, Result};
use crate::{
    partner::{
        access::TokenNames,
        link::PaymentLink,
        receipt::Receipt,
        subscription::{SealedSecret, Subscription},
    },
    webhooks::payload::Seed,
};

/// Whom an access token was given to, and whose data it opens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    /// The client.
    pub client_id: String,
    /// The platform, of a native installation.
    pub platform: Option<String>,
    /// Whether the client's proofs must carry the server's nonce.
    pub require_nonce: bool,
    /// The grant.
    pub grant_id: String,
    /// The company.
    pub company: Company,
}

/// A receipt to be kept with a write.
#[derive(Clone, Debug)]
pub struct KeptReceipt {
    /// SHA-256 of the `Idempotency-Key`.
    pub idempotency: [u8; 32],
    /// The receipt.
    pub receipt: Receipt,
    /// Whether it goes on with the connection that follows, as what the request made does.
    pub inherited: bool,
}

/// A payment link to be stored.
#[derive(Clone, Debug)]
pub struct NewLink {
    /// The event that tells of it.
    pub event: Seed,
    /// The link.
    pub link: PaymentLink,
    /// Whether the grant must have an active webhook subscription.
    pub needs_subscription: bool,
    /// Kept with it.
    pub receipt: Option<KeptReceipt>,
    /// The time now.
    pub now: UnixTime,
}

/// A payment link as it is to be, decided on the version before it.
#[derive(Clone, Debug)]
pub struct LinkChange {
    /// The event that tells of it.
    pub event: Seed,
    /// The link, its version counted on.
    pub link: PaymentLink,
    /// Kept with it.
    pub receipt: Option<KeptReceipt>,
    /// The time now.
    pub now: UnixTime,
}

/// A webhook subscription as it is to be, decided on the version before it; version 1 is a new one.
#[derive(Clone, Debug)]
pub struct SubscriptionChange {
    /// The subscription, its version counted on.
    pub subscription: Subscription,
    /// Kept with it.
    pub receipt: Option<KeptReceipt>,
    /// The time now.
    pub now: UnixTime,
}

/// A secret for the notifications of single payment links, in place of the one before.
#[derive(Clone, Debug)]
pub struct SecretChange {
    /// The grant that asks.
    pub grant_id: String,
    /// The client.
    pub client_id: String,
    /// The company, of an application that has several; of a native installation, which has one, nothing.
    pub company_id: Option<String>,
    /// The secret.
    pub secret: SealedSecret,
    /// Kept with it.
    pub receipt: Option<KeptReceipt>,
    /// The time now.
    pub now: UnixTime,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PartnerWrite {
    /// Written, receipt and all.
    Done,
    /// The `Idempotency-Key` was used meanwhile, or what is to be changed was: read and decide again.
    Raced,
    /// The grant has ended meanwhile.
    GrantEnded,
    /// The company has no such customer.
    NoCustomer,
    /// The grant has no active webhook subscription.
    NoSubscription,
}

/// Operations of the partner API.
#[async_trait]
pub trait Partner: Send + Sync {
    /// Finds who holds an access token, if the token was not revoked and everything it rests on stands: its family,
    /// its grant, its client, its company.
    async fn token_holder(&self, names: &TokenNames<'_>, now: UnixTime) -> Result<Option<Holder>>;

    /// Finds a receipt.
    async fn partner_receipt(
        &self,
        grant_id: &str,
        idempotency: &[u8; 32],
    ) -> Result<Option<Receipt>>;

    /// Stores a payment link.
    async fn create_payment_link(&self, new: NewLink) -> Result<PartnerWrite>;

    /// Changes a payment link.
    async fn change_payment_link(&self, change: LinkChange) -> Result<PartnerWrite>;

    /// Finds a payment link.
    async fn payment_link(&self, uid: &str) -> Result<Option<PaymentLink>>;

    /// The payment links of a grant.
    async fn payment_links(&self, grant_id: &str, page: &Page) -> Result<Listed<PaymentLink>>;

    /// Finds the webhook subscription of a grant.
    async fn webhook_subscription(&self, grant_id: &str) -> Result<Option<Subscription>>;

    /// Stores or changes the webhook subscription of a grant.
    async fn change_webhook_subscription(&self, change: SubscriptionChange)
    -> Result<PartnerWrite>;

    /// Puts a new secret in place of the one before.
    async fn change_webhook_secret(&self, change: SecretChange) -> Result<PartnerWrite>;
}
