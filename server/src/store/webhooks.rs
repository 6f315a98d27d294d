//! The outbox of notifications, their endpoints and their log.

use async_trait::async_trait;
use counterfoil_protocol::UnixTime;

use super::{KeptReceipt, Part, PartnerWrite, Result};
use crate::{
    audit::Actor,
    partner::{event::Patterns, link::PaymentLink, receipt::Receipt, subscription::SealedSecret},
    webhooks::{
        endpoint::{Endpoint, Origin},
        log::{Attempt, Delivery},
        payload::Seed,
    },
};

/// A payment that moved: the link as it is to be, decided on the version before it, and the event that tells of it.
#[derive(Clone, Debug)]
pub struct PaymentMove {
    /// The link.
    pub link: PaymentLink,
    /// The event.
    pub event: Seed,
    /// The person who reported it; nobody when it was the engine, whose reports are no matter for the audit trail.
    pub actor: Option<Actor>,
    /// Kept with it.
    pub receipt: Option<KeptReceipt>,
    /// The time now.
    pub now: UnixTime,
}

/// How much is claimed at a time.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The time now.
    pub now: UnixTime,
    /// Until when nobody else may take them.
    pub until: UnixTime,
    /// The most of them.
    pub most: u32,
    /// The most that may be under way to one endpoint, those claimed before counted.
    pub per_endpoint: u32,
}

/// A delivery that is the caller's to send.
#[derive(Clone, Debug)]
pub struct Due {
    /// Its place in the outbox.
    pub position: i64,
    /// Its name.
    pub id: String,
    /// The name that its attempts share.
    pub group_id: String,
    /// The event's name.
    pub event: String,
    /// Why it is sent.
    pub origin: Origin,
    /// The body but for its `deliveryId`.
    pub body: String,
    /// Attempts before this one.
    pub attempts: u32,
    /// Where to; nothing when the endpoint is gone.
    pub endpoint: Option<Endpoint>,
}

/// What came of a claimed delivery.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Its place in the outbox.
    pub position: i64,
    /// Attempts before this one: another sender may have had one meanwhile.
    pub attempts: u32,
    /// The attempt, if one was made.
    pub attempt: Option<Attempt>,
    /// What is to become of it.
    pub fate: Fate,
    /// The endpoint is disabled if it has taken nothing since before this.
    pub hopeless_before: UnixTime,
    /// The time now.
    pub now: UnixTime,
}

/// What is to become of a delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It was taken.
    Delivered,
    /// It is tried again then.
    Again(UnixTime),
    /// It is not tried again by itself, for this reason.
    GivenUp(&'static str),
}

/// What became of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Settled {
    /// Written.
    Done,
    /// Written, and its endpoint was disabled: it had failed for too long.
    EndpointDisabled,
    /// Another sender was faster; nothing was written.
    Lost,
}

/// Whose deliveries or endpoints.
#[derive(Clone, Copy, Debug)]
pub enum Of<'a> {
    /// One endpoint's.
    Endpoint(&'a str),
    /// One connection's.
    Grant(&'a str),
    /// One client's.
    Client(&'a str),
}

/// Which deliveries. What is not said is not asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeliveryQuery<'a> {
    /// Those that are `waiting`, `delivered` or `failed`.
    pub state: Option<&'a str>,
    /// Those of one payment link.
    pub link_uid: Option<&'a str>,
    /// Those before a place.
    pub before: Option<i64>,
    /// The most of them.
    pub limit: u32,
}

/// Which endpoints of a company.
#[derive(Clone, Copy, Debug)]
pub struct EndpointQuery<'a> {
    /// The company.
    pub company_id: &'a str,
    /// Those of one application or store.
    pub client_id: Option<&'a str>,
    /// How many to pass over.
    pub skip: u32,
    /// The most of them.
    pub limit: u32,
}

/// An endpoint with what people know it by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The name of its application, or of its store's plugin.
    pub name: String,
    /// Where its store is, if it is a store's.
    pub site_url: Option<String>,
    /// What was written for it last, with the newest attempt.
    pub last: Option<Delivery>,
}

/// A new endpoint of an application.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// Its name.
    pub id: String,
    /// The application.
    pub client_id: String,
    /// The address.
    pub url: String,
    /// Which events.
    pub events: Patterns,
    /// For people.
    pub description: String,
    /// What signs.
    pub secret: SealedSecret,
    /// The time now.
    pub now: UnixTime,
}

/// What became of an endpoint that was to be added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddedEndpoint {
    /// It is there, and it was not before.
    Added,
    /// There is one of this name; it stays as it is.
    Known,
    /// The application has as many as it may have.
    Full,
    /// There is no such application.
    NoApplication,
}

/// Another secret of an endpoint.
#[derive(Clone, Debug)]
pub struct EndpointSecret {
    /// The secret.
    pub secret: SealedSecret,
    /// Until when the one before signs as well.
    pub overlap_until: UnixTime,
    /// The sealed secret that it is to replace; whichever is in force when it is not said.
    pub replaces: Option<Vec<u8>>,
}

/// What became of a secret that was to be replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rotated {
    /// It is replaced.
    Done,
    /// Another one is in force by now; nothing was changed.
    Raced,
    /// There is no such endpoint.
    Unknown,
}

/// What became of something that was to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Queued {
    /// It is in the outbox, under this name.
    As(String),
    /// There is no such endpoint or delivery, or nothing can sign for it.
    Unknown,
    /// Nothing may be sent there, for this reason.
    Closed(&'static str),
    /// It waits already.
    Waits,
}

/// What a connection's client has sent by hand.
#[derive(Clone, Debug)]
pub enum Manual {
    /// A test, to this endpoint.
    Test(String),
    /// This delivery, once more.
    Retry(String),
}

/// Something that a connection's client has sent, with the receipt of its answer.
#[derive(Clone, Debug)]
pub struct ManualSend {
    /// What.
    pub what: Manual,
    /// The connection.
    pub grant_id: String,
    /// The name of the event.
    pub event: Seed,
    /// Who asked.
    pub actor: Actor,
    /// The receipt of the answer, kept if something is written.
    pub receipt: Option<KeptReceipt>,
    /// The time.
    pub now: UnixTime,
}

/// What became of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sent {
    /// It was decided.
    Queued(Queued),
    /// Nothing was: the grant has ended, or the receipt's key was used meanwhile.
    Hindered(PartnerWrite),
}

/// What the people of a company must be told: an endpoint of theirs was disabled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// Its place.
    pub id: i64,
    /// When it was disabled.
    pub at: UnixTime,
    /// The company.
    pub company_id: String,
    /// Its name.
    pub company: String,
    /// The endpoint.
    pub endpoint_id: String,
    /// Its address.
    pub url: String,
    /// Since when it took nothing.
    pub failing_since: UnixTime,
    /// The addresses of the people who look after it.
    pub people: Vec<String>,
}

/// Operations of notifications.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Moves a payment and writes what tells of it. `Raced` says that the link or the receipt's key is not what it was.
    async fn move_payment(&self, change: PaymentMove) -> Result<PartnerWrite>;

    /// Finds what the payment engine was answered.
    async fn engine_receipt(&self, idempotency: &[u8; 32]) -> Result<Option<Receipt>>;

    /// Keeps what the payment engine is answered when a report changed nothing.
    async fn note_report(&self, receipt: KeptReceipt, now: UnixTime) -> Result<PartnerWrite>;

    /// Whether anything is due.
    async fn is_anything_due(&self, now: UnixTime) -> Result<bool>;

    /// Takes what is due, the longest due first. Of one endpoint and link only the first that waits is ever due.
    async fn claim_deliveries(&self, claim: Claim) -> Result<Vec<Due>>;

    /// Writes what came of a claimed delivery. What waited for it becomes due when it has ended.
    async fn settle_delivery(&self, settlement: Settlement) -> Result<Settled>;

    /// The endpoints of a company's people, oldest first; or of everybody. A part goes on after an endpoint's id.
    async fn endpoints(&self, company_id: Option<&str>, part: Part<'_>) -> Result<Vec<Endpoint>>;

    /// Endpoints of a company: those of applications and subscriptions before those that payment links named, the newest
    /// first.
    async fn company_endpoints(&self, query: EndpointQuery<'_>) -> Result<Vec<ListedEndpoint>>;

    /// One endpoint of a company.
    async fn company_endpoint(&self, company_id: &str, id: &str) -> Result<Option<ListedEndpoint>>;

    /// One endpoint.
    async fn endpoint(&self, id: &str) -> Result<Option<Endpoint>>;

    /// Adds an endpoint to an application, which may have so many.
    async fn add_endpoint(
        &self,
        new: NewEndpoint,
        most: u32,
        actor: &Actor,
    ) -> Result<AddedEndpoint>;

    /// Enables or disables an endpoint. False when there is none.
    async fn switch_endpoint(
        &self,
        id: &str,
        active: bool,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<bool>;

    /// Gives an endpoint another secret. An address that links name shares its secret with all such addresses of its
    /// client.
    async fn rotate_endpoint_secret(
        &self,
        id: &str,
        change: EndpointSecret,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Rotated>;

    /// Writes a test for an endpoint, which may be disabled.
    async fn test_endpoint(
        &self,
        id: &str,
        event: Seed,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Queued>;

    /// Writes a delivery that has ended once more, under another name, behind what waits.
    async fn retry_delivery(
        &self,
        id: &str,
        event: Seed,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Queued>;

    /// Writes a test or a delivery that has ended, as these two do, with the receipt of the answer to a connection's
    /// client or not at all.
    async fn send_by_hand(&self, send: ManualSend) -> Result<Sent>;

    /// Deliveries, newest first.
    async fn deliveries(&self, of: Of<'_>, query: DeliveryQuery<'_>) -> Result<Vec<Delivery>>;

    /// One delivery with its attempts.
    async fn delivery(&self, id: &str) -> Result<Option<Delivery>>;

    /// Forgets deliveries that ended before a time, and notices that were told before it. Says how many deliveries.
    async fn forget_deliveries(&self, before: UnixTime) -> Result<usize>;

    /// Notices that nobody was told yet.
    async fn notices(&self) -> Result<Vec<Notice>>;

    /// A notice was told.
    async fn notice_told(&self, id: i64, now: UnixTime) -> Result<()>;
}
